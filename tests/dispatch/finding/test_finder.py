"""Unknown limits are found, kept and followed: against the simulator's own limits, in simulated time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from laneway.dispatch.finding.finder import FIRST_CALLS, Finder
from tests.dispatch.finding.trial import Trial


@pytest.mark.parametrize("latency", [0.3, 2.0])
@pytest.mark.parametrize(
    "hidden",
    [
        {"concurrency": 5},
        {"concurrency": 25},
        {"rpm": 300, "burst": 1.0},
        {"rpm": 600, "burst": 0.3},
        {"rpm": 600, "burst": 10.0},
        {"rpm": 1200, "burst": 60.0},
    ],
    ids=str,
)
def test_a_hidden_limit_is_used_after_20_seconds_with_few_refusals(hidden: dict[str, Any], latency: float) -> None:
    trial = Trial(60.0, latency, 0.3, hidden).run()
    assert trial.rate(20.0) >= 0.9 * trial.bound()
    assert len(trial.refused) <= max(5, 0.01 * len(trial.starts))


@pytest.mark.parametrize("seed", range(4))
def test_a_rate_is_not_concluded_while_a_concurrency_may_explain_the_refusal(seed: int) -> None:
    """200 at once were taken for 43 a second: that rate was merely the last that was not refuted yet."""
    trial = Trial(65.0, 2.0, 0.3, {"concurrency": 200}, way=0.02, seed=seed).run()
    assert trial.rate(20.0) >= 0.9 * trial.bound()
    assert "requests_per_minute" not in trial.finder.found()


@pytest.mark.parametrize(("concurrency", "latency"), [(200, 2.0), (100, 1.0), (50, 0.5), (25, 0.3), (10, 0.2)])
def test_answers_that_a_busy_process_sees_late_refute_no_limit(concurrency: int, latency: float) -> None:
    """What seemed to be one more than the limit was let in, because others had ended: 200 at once stayed at half."""
    trial = Trial(65.0, latency, 0.3, {"concurrency": concurrency}, lag=0.02).run()
    assert trial.rate(20.0) >= 0.9 * concurrency / (latency + 0.02) / 1.05
    assert trial.share <= 0.01


@pytest.mark.parametrize("seed", range(4))
def test_a_concurrency_that_was_found_by_coincidence_is_not_lowered_on_and_on(seed: int) -> None:
    """With 5 calls a second of 1 s, a rate twice refused a call with 6 in flight."""
    trial = Trial(60.0, 1.0, 0.6, {"rpm": 300, "burst": 0.3}, seed=seed).run()
    assert trial.rate(20.0) >= 0.8 * trial.bound()


def test_the_first_calls_are_few_and_evenly_spaced() -> None:
    trial = Trial(3.0, latency=2.0).run()
    before = [at for at in trial.starts if at < 2.0]
    assert len(before) == FIRST_CALLS
    assert min(b - a for a, b in pairwise(before)) > 0.08


def test_where_nothing_is_refused_it_goes_up_to_the_most() -> None:
    trial = Trial(10.0, latency=0.3).run()
    assert trial.rate(8.0) > 200
    assert trial.finder.found() == {}


@pytest.mark.parametrize(("calls", "latency", "most"), [(100, 0.2, 1.7), (5000, 0.2, 6.0), (100, 1.0, 4.5)])
def test_where_nothing_is_refused_little_time_is_lost(calls: int, latency: float, most: float) -> None:
    assert Trial(10.0, latency, 0.3).run().seconds_for(calls) <= most


def test_a_known_concurrency_is_not_paced_before_the_first_refusal() -> None:
    finder = Finder(0.0, slots=False)
    for number in range(50):
        assert finder.free_at(0.0)[0] == 0.0
        finder.started(number, 0.0)


def test_a_probe_counts_as_let_in_at_the_time_that_was_told() -> None:
    """Seconds since 1970 have steps of 0.2 µs: one that is a step short of its time let the next call go, unpaced."""
    began = 1_700_000_000.3
    finder = Finder(began)
    finder.started(1, began)
    finder.started(2, began + 0.1)
    finder.refused(2, 0.002, began + 0.102)
    again, _ = finder.free_at(began + 0.102)
    assert again is not None
    finder.started(3, again)
    ripe, _ = finder.free_at(again)
    assert ripe is not None
    paced, _ = finder.free_at(ripe)
    assert paced is not None
    assert paced > ripe


@pytest.mark.parametrize("hidden", [{"rpm": 600, "burst": 1.0}, {"rpm": 1200, "burst": 10.0}], ids=str)
def test_a_rate_that_is_halved_is_followed(hidden: dict[str, Any]) -> None:
    half = {"rpm": hidden["rpm"] / 2}
    trial = Trial(150.0, 1.0, 0.3, hidden, changes={90.0: half}).run()
    assert trial.rate(105.0) >= 0.9 * trial.bound(**half)
    assert trial.share <= 0.015


@pytest.mark.parametrize(("latency", "seed"), [(1.0, 1), (0.3, 2)])
def test_a_concurrency_that_is_halved_is_followed(latency: float, seed: int) -> None:
    """With short calls four refusals in a row are soon over: that is no limit that is counted anew each minute."""
    change = {65.0: {"concurrency": 25}}
    trial = Trial(110.0, latency, 0.3, {"concurrency": 50}, changes=change, seed=seed).run()
    assert trial.rate(80.0) >= 0.9 * trial.bound(concurrency=25)
    assert trial.share <= 0.01


@pytest.mark.parametrize("hidden", [{"rpm": 600, "burst": 1.0}, {"concurrency": 20}], ids=str)
def test_a_limit_that_is_raised_is_found_within_a_minute(hidden: dict[str, Any]) -> None:
    name = next(iter(hidden))
    trial = Trial(180.0, 1.0, 0.3, hidden, changes={90.0: {name: hidden[name] * 2}}).run()
    assert trial.rate(150.0) >= 0.9 * trial.bound(**{name: hidden[name] * 2})
    assert trial.share <= 0.01


@pytest.mark.parametrize("hidden", [{"rpm": 600, "burst": 1.0}, {"concurrency": 20}], ids=str)
def test_what_was_found_is_resumed_at_once_after_an_outage(hidden: dict[str, Any]) -> None:
    trial = Trial(130.0, 0.5, 0.3, hidden, outage=(40.0, 100.0)).run()
    assert trial.rate(105.0) >= 0.9 * trial.bound()
    assert trial.share <= 0.01


def test_what_was_found_is_kept_for_the_next_process() -> None:
    first = Trial(60.0, 1.0, 0.3, {"rpm": 600, "burst": 1.0}).run().finder
    state = first.state()
    assert state["found"]["requests_per_minute"] == pytest.approx(600, rel=0.05)
    assert [change[3] for change in state["history"]]
    again = Finder(0.0)
    again.restore(state, 10.0, 0.0)
    trial = Trial(30.0, 1.0, 0.3, {"rpm": 600, "burst": 1.0}, finder=again).run()
    assert trial.rate(2.0) >= 0.9 * trial.bound()
    assert len(trial.refused) <= 2
    assert len(again.history) >= len(first.history)


def test_an_old_finding_is_trusted_less() -> None:
    state: dict[str, Any] = {"found": {"requests_per_minute": 600.0}, "pace": None, "history": []}
    fresh, old, stale = Finder(0.0), Finder(0.0), Finder(0.0)
    fresh.restore(state, 5.0, 0.0)
    old.restore(state, 7200.0, 0.0)
    stale.restore(state, 1e6, 0.0)
    assert fresh.pace.pace == pytest.approx(10.0)
    assert old.pace.pace == pytest.approx(5.0)
    assert stale.found() == {}


def test_two_workers_share_what_was_found() -> None:
    finder = Trial(60.0, 1.0, 0.3, {"rpm": 600, "burst": 1.0}).run().finder
    before = finder.pace.pace
    finder.set_share(0.5)
    assert finder.pace.pace == pytest.approx(before / 2)
    assert finder.found()["requests_per_minute"] == pytest.approx(600, rel=0.05)


@pytest.mark.parametrize("way", [0.02, 0.1])
def test_refusals_that_take_their_time_do_not_mislead(way: float) -> None:
    trial = Trial(90.0, 1.0, 0.3, {"rpm": 600, "burst": 1.0}, way=way).run()
    assert trial.rate(20.0) >= 0.9 * trial.bound()
    assert trial.share <= 0.02


def test_a_limit_that_is_counted_anew_each_minute_is_used_on_average() -> None:
    trial = Trial(300.0, 1.0, 0.3, window=(600, 60.0)).run()
    assert trial.rate(180.0) >= 0.9 * 10
    assert trial.share <= 0.01


def test_a_few_refusals_without_reason_do_not_stop_it() -> None:
    trial = Trial(180.0, 1.0, 0.3, {"rpm": 1200, "burst": 1.0}, noise=0.01).run()
    assert trial.rate(60.0) >= 0.6 * trial.bound()
