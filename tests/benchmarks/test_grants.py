from __future__ import annotations

import pytest

from benchmarks.grants import ACCOUNTS, simulate
from laneway.dispatch.heart import LEASE_S


@pytest.mark.parametrize("name", list(ACCOUNTS))
def test_many_workers_use_a_limit_whole_and_never_more(name: str) -> None:
    said = simulate(60, ACCOUNTS[name])
    assert said["most_share"] <= 1.0 + 1e-9
    assert said["most_slots"] <= (ACCOUNTS[name].slots or 0)
    assert said["use"] > 0.95
    assert said["urgent_s"] <= 6
    assert said["renewals_per_s"] <= 1.5 * 60 / 2


def test_where_all_have_a_part_shares_follow_within_two_heartbeats_and_a_lease() -> None:
    said = simulate(60, ACCOUNTS["2,000 a second"])
    assert max(said["start_s"], said["half_idle_s"], said["joined_s"]) <= 6
    assert said["after_deaths_s"] <= LEASE_S + 2
