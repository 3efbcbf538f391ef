"""How long work takes through limits, by hand-made sums."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.planning.capacity import (
    Load,
    Place,
    Pool,
    Slots,
    has_limits,
    in_turn,
    needed,
    rates_of,
    unknown_slots,
)
from laneway.providers.model import Limits
from laneway.task import Urgency


def load(calls: float = 100.0, accounts: tuple[str, ...] = ("main",), **more: Any) -> Load:
    fields: dict[str, Any] = {
        "lane": "general",
        "urgency": Urgency.STANDARD,
        "input_tokens": 100 * calls,
        "output_tokens": 50 * calls,
        "charged_tokens": 200 * calls,
        "busy": 0.5 * calls,
        **more,
    }
    return Load(accounts=accounts, calls=calls, **fields)


def pool(
    name: str = "main", burst_s: float = 0.0, slots: int | None = None, charges_max: bool = False, **limits: Any
) -> Pool:
    return Pool(name, rates_of(Limits(**limits), burst_s), Slots(slots, slots) if slots else None, charges_max)


def place(*pools: Pool, lanes: dict[str, int] | None = None, slots: int = 10**12) -> Place:
    return Place({pool.name: pool for pool in pools}, lanes or {}, slots, 1e9)


@pytest.mark.parametrize(
    ("limits", "seconds", "by"),
    [
        ({"requests_per_minute": 600}, 10.0, "requests_per_minute"),
        ({"requests_per_second": 5}, 20.0, "requests_per_second"),
        ({"input_tokens_per_minute": 60_000}, 10.0, "input_tokens_per_minute"),
        ({"output_tokens_per_minute": 10_000}, 30.0, "output_tokens_per_minute"),
        ({"tokens_per_minute": 90_000}, 10.0, "tokens_per_minute"),
        ({"requests_per_minute": 600, "tokens_per_minute": 45_000}, 20.0, "tokens_per_minute"),
    ],
)
def test_each_limit_takes_its_amount_over_its_rate(limits: dict[str, Any], seconds: float, by: str) -> None:
    found = needed([load()], place(pool(**limits)))
    assert found.seconds == pytest.approx(seconds, rel=1e-3)
    assert found.by == f"main: {by}"


def test_an_account_that_charges_what_was_allowed_is_slower() -> None:
    found = needed([load()], place(pool(charges_max=True, tokens_per_minute=90_000)))
    assert found.seconds == pytest.approx(20.0, rel=1e-3)  # (100 + 200) tokens a call


def test_what_may_go_at_once_does_not_wait() -> None:
    assert needed([load()], place(pool(burst_s=4.0, requests_per_minute=600))).seconds == pytest.approx(6.0, rel=1e-3)
    assert needed([load()], place(pool(burst_s=60.0, requests_per_minute=600))).seconds < 1e-6


def test_a_days_requests_are_there_at_once_or_what_is_left_of_them() -> None:
    assert needed([load()], place(pool(requests_per_day=100))).seconds < 1e-6
    over = needed([load(200)], place(pool(requests_per_day=100)))
    assert over.seconds == pytest.approx(86_400, rel=1e-3)
    assert over.by == "main: requests_per_day"
    half_left = Pool("main", rates_of(Limits(requests_per_day=100), 0.0, left_today=50))
    assert needed([load()], place(half_left)).seconds == pytest.approx(43_200, rel=1e-3)


def test_concurrency_lanes_and_slots_take_the_calls_own_time() -> None:
    assert needed([load()], place(pool(slots=5))).seconds == pytest.approx(10.0, rel=1e-3)
    lane = needed([load()], place(pool(slots=5), lanes={"general": 2, "other": 1}))
    assert (lane.seconds, lane.by) == (25.0, "lane general")
    slots = needed([load()], place(pool(slots=5), slots=1))
    assert (slots.seconds, slots.by) == (50.0, "concurrency")
    assert needed([load()], place(pool(slots=5)), calls_take_time=False).seconds < 0.001


def test_several_accounts_add_up_and_one_that_only_some_may_use_does_not() -> None:
    two = place(pool("main", requests_per_minute=600), pool("second", requests_per_minute=300))
    assert needed([load(150, ("main", "second"))], two).seconds == pytest.approx(10.0, rel=1e-3)
    mixed = [load(30, ("main", "second")), load(120, ("second",))]
    assert needed(mixed, two).seconds == pytest.approx(24.0, rel=1e-3), "120 through the second alone"
    assert needed(mixed, two).by == "second: requests_per_minute"
    together = [load(150, ("main", "second")), load(60, ("second",))]
    assert needed(together, two).seconds == pytest.approx(14.0, rel=1e-3), "all of it through both"


def test_accounts_may_be_held_by_different_limits() -> None:
    two = place(pool("main", requests_per_minute=600), pool("second", tokens_per_minute=90_000))
    assert needed([load(200, ("main", "second"))], two).seconds == pytest.approx(10.0, rel=1e-3)


def test_classes_that_share_a_limit_come_one_after_the_other_at_worst() -> None:
    urgent = load(100, urgency=Urgency.URGENT, busy=10.0)
    slow_lane = load(10, lane="slow", busy=50.0)
    everything = place(pool(requests_per_minute=600), lanes={"slow": 5})
    assert needed([urgent, slow_lane], everything).seconds == pytest.approx(11.0, rel=1e-3)
    assert in_turn([urgent, slow_lane], everything).seconds == pytest.approx(20.0, rel=1e-3)
    apart = place(pool(requests_per_minute=600), pool("second", requests_per_minute=600))
    other = load(100, ("second",), urgency=Urgency.RELAXED)
    assert in_turn([urgent, other], apart).seconds == pytest.approx(10.0, rel=1e-3), "they have nothing in common"


def test_a_concurrency_that_is_found_doubles_up_to_its_most() -> None:
    found = unknown_slots(1.0, most=80.0)
    assert found.work(0.0) == 0.0
    assert found.work(0.5) == 5.0
    assert found.work(2.0) == 10.0 + 20.0
    assert found.work(5.0) - found.work(4.0) == pytest.approx(80.0)
    assert unknown_slots(1.0, most=10.0).work(3.0) == 30.0


def test_no_limit_takes_no_time() -> None:
    assert needed([load()], place(Pool("main"))).seconds < 1e-6
    assert not has_limits(Limits())
    assert has_limits(Limits(concurrency=1))
    assert has_limits(Limits(tokens_per_minute=1))
