"""When a provider counts as down, who is to blame for a failure, and how calls come back."""

from __future__ import annotations

import itertools
import random

import pytest

from laneway.dispatch.breaker import FIRST_PAUSE_S, LONGEST_DOUBT_S, LONGEST_PAUSE_S, PROBE_PATIENCE_S, SILENT_S, Doubt
from laneway.dispatch.breaker import Breaker as RealBreaker

NOW = 1_700_000_000.0


class Breaker(RealBreaker):
    """Numbers its calls by itself."""

    def __init__(self) -> None:
        super().__init__(random.Random(1))
        self.calls = 0

    def opened(self) -> bool:
        return not self.closed

    def start(self, now: float = NOW) -> int:
        self.calls += 1
        self.started(self.calls, now)
        return self.calls

    def fail(self, number: int, now: float = NOW, task: int | None = None, reached: bool = True) -> Doubt:
        return self.failed(number, now, after=self.calls, task=task, reached=reached)

    def fails(self, n: int, now: float = NOW, *, task: int | None = None) -> list[Doubt]:
        return [self.fail(self.start(now), now, task if task is not None else 100 + i) for i in range(n)]


def test_five_outages_in_a_row_open_it_and_one_answer_closes_it() -> None:
    breaker = Breaker()
    breaker.fails(4)
    breaker.answered(breaker.start(), NOW)
    breaker.fails(4)
    assert not breaker.opened()
    breaker.fails(1)
    assert breaker.open_since == NOW
    breaker.answered(breaker.start(NOW + 1), NOW + 1)
    assert not breaker.opened()
    assert breaker.free_at(NOW + 1) == NOW + 1


def test_one_call_at_a_time_looks_whether_it_is_back_at_a_thirtieth_of_the_outage_and_no_more_than_four_seconds() -> (
    None
):
    breaker, now, gaps = Breaker(), NOW, []
    breaker.fails(5)
    for _ in range(200):
        at = breaker.free_at(now)
        gaps.append(at - now)
        number = breaker.start(at)
        assert breaker.free_at(at) == at + PROBE_PATIENCE_S, "nobody else meanwhile"
        now = at + 0.01
        breaker.fail(number, now)
    assert 0.8 * FIRST_PAUSE_S <= gaps[0] <= FIRST_PAUSE_S
    assert max(gaps) <= LONGEST_PAUSE_S
    assert gaps[-1] >= 0.8 * LONGEST_PAUSE_S
    within_a_minute = [gap for i, gap in enumerate(gaps) if sum(gaps[:i]) < 60]
    assert max(within_a_minute) <= 2.0, "so that a minute's outage is over within five seconds of its end"


def test_a_probe_that_hangs_does_not_hold_up_the_next_for_its_whole_timeout_and_more_of_them_come_more_slowly() -> None:
    breaker, now, times = Breaker(), NOW, []
    breaker.fails(5)
    for _ in range(4):
        now = breaker.free_at(now)
        times.append(now)
        breaker.start(now)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps == pytest.approx([PROBE_PATIENCE_S, 2 * PROBE_PATIENCE_S, 4 * PROBE_PATIENCE_S])


def test_when_it_opens_all_that_failed_in_the_row_is_free() -> None:
    breaker = Breaker()
    doubts = breaker.fails(4)
    assert [doubt.innocent for doubt in doubts] == [None] * 4
    doubts += breaker.fails(3)
    assert all(doubt.innocent and doubt.sure for doubt in doubts)


def test_a_call_that_started_after_a_failure_and_is_answered_lays_the_blame_on_the_one_that_failed() -> None:
    breaker = Breaker()
    old, failing, between = breaker.start(), breaker.start(), breaker.start()
    doubt = breaker.fail(failing)
    later = breaker.start()
    breaker.answered(old, NOW)
    breaker.answered(between, NOW)
    assert doubt.innocent is None, "those started before it failed"
    breaker.answered(later, NOW)
    assert doubt.innocent is False


def test_silence_does_not_open_it_after_errors_that_may_be_the_requests_own() -> None:
    breaker = Breaker()
    doubts = breaker.fails(4)
    breaker.judge(NOW + SILENT_S, None)
    assert not breaker.opened()
    assert [doubt.innocent for doubt in doubts] == [False] * 4


def test_one_task_alone_does_not_convict_its_provider_at_once() -> None:
    breaker = Breaker()
    doubts = breaker.fails(2, task=7)
    breaker.judge(NOW + SILENT_S, None)
    assert not breaker.opened()
    assert [doubt.innocent for doubt in doubts] == [False, False]
    doubts = breaker.fails(3, NOW + 3, task=7)
    assert breaker.open_since == NOW + 3
    assert all(doubt.innocent and not doubt.sure for doubt in doubts), "free, but among the tries that are counted"


def test_where_no_connection_comes_about_the_request_is_never_to_blame() -> None:
    breaker = Breaker()
    doubt = breaker.fail(breaker.start(), task=7, reached=False)
    breaker.judge(NOW + SILENT_S, None)
    assert breaker.opened()
    assert doubt.innocent
    assert doubt.sure


def test_a_doubt_lasts_while_a_later_call_is_under_way_but_not_for_ever() -> None:
    breaker = Breaker()
    failing = breaker.start()
    breaker.answered(breaker.start(), NOW)
    doubt = breaker.failed(failing, NOW, after=breaker.calls, task=1, usual=10.0)
    later = breaker.start()
    breaker.judge(NOW + 5, later)
    assert doubt.innocent is None
    breaker.judge(NOW + LONGEST_DOUBT_S, later)
    assert doubt.innocent is False


def test_after_an_outage_the_slots_fill_over_one_usual_latency() -> None:
    breaker = Breaker()
    assert breaker.ramp(1.0, NOW) == 1.0
    breaker.fails(5)
    breaker.answered(breaker.start(NOW + 60), NOW + 60)
    assert breaker.ramp(1.0, NOW + 60.25) == pytest.approx(0.25)
    assert breaker.ramp(20.0, NOW + 60.5) == pytest.approx(0.25), "two seconds at most"
    assert breaker.ramp(1.0, NOW + 61) == 1.0


def test_a_restart_looks_first_and_does_not_pour_calls_into_what_was_down() -> None:
    before = Breaker()
    before.fails(5, NOW - 3)
    breaker = Breaker()
    breaker.restore(before.state(), 3.0, NOW)
    assert breaker.free_at(NOW) == NOW
    breaker.start()
    assert breaker.free_at(NOW) > NOW
    assert breaker.open_since == NOW - 3
    late = Breaker()
    late.restore(before.state(), 3600.0, NOW)
    assert late.closed, "an hour later it says nothing"


def test_who_hears_that_it_is_down_looks_before_calling_and_who_hears_that_it_is_back_looks_at_once() -> None:
    one, other = Breaker(), Breaker()
    other.answered(other.start(NOW - 60), NOW - 60)
    one.fails(5)
    other.hear(one.state(), NOW + 1)
    assert other.opened()
    assert other.open_since == NOW
    other.fail(other.start(NOW + 1), NOW + 1.1)
    one.answered(one.start(NOW + 1.5), NOW + 1.5)
    other.hear(one.state(), NOW + 1.6)
    assert other.opened()
    assert other.free_at(NOW + 1.6) == NOW + 1.6, "it sees for itself"


def test_who_was_answered_since_does_not_believe_that_it_is_down() -> None:
    one, other = Breaker(), Breaker()
    one.fails(5)
    other.answered(other.start(NOW + 1), NOW + 1)
    other.hear(one.state(), NOW + 2)
    assert not other.opened()
