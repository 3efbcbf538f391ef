"""Parts of a limit: never more than the whole, and fair, whoever comes, goes, dies or does not hear its answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from laneway.store.grants import TURN_S, ByUrgency, Capacity, turn_of
from tests.store.fleet import LEASE, One, Table

NOW = 1_700_000_000.0
CAPACITIES = st.builds(
    Capacity,
    slots=st.none() | st.integers(1, 30),
    calls=st.none() | st.floats(0.1, 500.0),
    parts=st.integers(1, 20) | st.just(10_000),
)
DEMANDS = st.tuples(*[st.sampled_from((0.0, 0.0, 1.0, 7.0, 100.0))] * 4)
TWENTY = Capacity(20, 40.0)


class Fleet(RuleBasedStateMachine):
    """Any order of joining, asking, leaving, dying, silence, and answers that are lost on their way."""

    @initialize(capacity=CAPACITIES)
    def begin(self, capacity: Capacity) -> None:
        self.table = Table(capacity)
        self.now = NOW
        self.workers: list[One] = []
        self.dead: list[One] = []
        self.joined = 0

    def pick(self, data: st.DataObject) -> One:
        return data.draw(st.sampled_from(self.workers))

    @precondition(lambda self: len(self.workers) < 8)
    @rule(calls=DEMANDS)
    def join(self, calls: ByUrgency) -> None:
        self.joined += 1
        self.workers.append(One(f"w{self.joined}", calls))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), arrives=st.booleans())
    def renew(self, data: st.DataObject, arrives: bool) -> None:
        self.table.renew(self.pick(data), self.now, arrives=arrives)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), calls=DEMANDS)
    def have_other_work(self, data: st.DataObject, calls: ByUrgency) -> None:
        self.pick(data).calls = calls

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), part=st.floats(0, 1))
    def make_calls(self, data: st.DataObject, part: float) -> None:
        """As many as its slots permit; those that were in flight may stay so for ever, or end."""
        one = self.pick(data)
        free = one.slots if self.now < one.valid_until else 0
        one.busy = round(part * free) if part < 0.5 else max(one.busy, round(part * free))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """Its calls end with it; its grant is valid to its end, for all that others know."""
        one = self.pick(data)
        one.busy = 0
        self.workers.remove(one)
        self.dead.append(one)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        one = self.pick(data)
        self.workers.remove(one)
        self.table.rows.pop(one.name, None)

    @rule(seconds=st.sampled_from((0.1, 2.0, LEASE / 2, LEASE, TURN_S)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for one in self.workers:  # cut off for so long, no call of it goes on
            one.busy = one.busy if self.now < one.valid_until else 0

    @invariant()
    def parts_are_never_more_than_the_whole(self) -> None:
        held = [one.goes_by(self.now) for one in [*self.workers, *self.dead]]
        assert sum(share for share, _ in held) <= 1.0 + 1e-9
        if self.table.capacity.slots is not None:
            assert sum(slots for _, slots in held) <= self.table.capacity.slots


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


def fleet(*calls: ByUrgency) -> list[One]:
    return [One(f"worker-{number}", one) for number, one in enumerate(calls)]


def bulk(calls: float) -> ByUrgency:
    return (0.0, 0.0, calls, 0.0)


def rounds(table: Table, workers: list[One], n: int, now: float) -> float:
    """All of them ask, ``n`` times."""
    for _ in range(n):
        now += 2.0
        for one in workers:
            table.renew_all(one, now)
    return now


@settings(deadline=None)
@given(first=st.integers(1, 5), more=st.integers(1, 5))
def test_who_joins_has_its_fair_part_after_two_renewals_of_all(first: int, more: int) -> None:
    table, workers = Table(TWENTY), fleet(*[bulk(40)] * first)
    now = rounds(table, workers, 2, NOW)
    workers += [One(f"new-{number}", bulk(40)) for number in range(more)]
    rounds(table, workers, 2, now)
    for one in workers:
        assert one.share == pytest.approx(1 / len(workers), rel=0.01)
        assert abs(one.slots - 20 / len(workers)) < 2
    assert sum(one.slots for one in workers) == 20


def test_a_dead_workers_part_is_in_use_again_within_one_lease_and_a_heartbeat() -> None:
    table, workers = Table(TWENTY), fleet(bulk(40), bulk(40), bulk(40), bulk(40))
    now = rounds(table, workers, 3, NOW)
    now = rounds(table, workers[1:], 6, now)
    assert sum(one.share for one in workers[1:]) == pytest.approx(1.0)
    assert sum(one.slots for one in workers[1:]) == 20


def test_idle_workers_leave_their_part_to_busy_ones_and_keep_some_where_there_is_enough() -> None:
    table, workers = Table(TWENTY), fleet(bulk(400), bulk(0), bulk(0))
    now = rounds(table, workers, 2, NOW)
    assert [one.share for one in workers] == [pytest.approx(1.0), 0.0, 0.0]
    workers[0].calls = bulk(10)
    rounds(table, workers, 2, now)
    assert workers[0].share > 0.6
    assert min(one.share for one in workers) > 0.1


@pytest.mark.parametrize("n", [2, 9])
def test_urgent_work_of_one_has_all_but_the_floor_within_two_renewals(n: int) -> None:
    table, workers = Table(TWENTY), fleet(*[bulk(40)] * n)
    now = rounds(table, workers, 2, NOW)
    urgent = One("late", (0.0, 100.0, 40.0, 0.0))
    rounds(table, [*workers, urgent], 2, now)
    assert urgent.share >= 0.9
    assert urgent.slots >= 18


def test_a_few_urgent_calls_take_no_more_than_they_need() -> None:
    table, workers = Table(TWENTY), fleet(bulk(40), (4.0, 0.0, 0.0, 0.0))
    rounds(table, workers, 2, NOW)
    assert [one.share for one in workers] == [pytest.approx(0.9), pytest.approx(0.1)]


def test_without_any_figure_urgent_work_comes_first_too() -> None:
    table, workers = Table(Capacity()), fleet(bulk(1000), (3.0, 0.0, 0.0, 0.0))
    rounds(table, workers, 2, NOW)
    assert workers[1].share == pytest.approx(0.95)


def test_more_workers_than_slots_take_turns() -> None:
    table, workers = Table(Capacity(5)), fleet(*[bulk(5)] * 20)
    had = dict.fromkeys((one.name for one in workers), 0.0)
    now, used = NOW, 0.0
    for _ in range(600):
        now = rounds(table, workers, 1, now)
        used += sum(one.slots for one in workers) / 5 / 600
        for one in workers:
            had[one.name] += one.slots / 600
    assert used > 0.95
    assert min(had.values()) > 0.3 * 5 / 20


def test_no_part_of_a_rate_is_too_small_for_a_call() -> None:
    table, workers = Table(Capacity(None, 40.0, parts=10)), fleet(*[bulk(40)] * 50)
    now = rounds(table, workers, 3, NOW)
    for _ in range(100):
        now = rounds(table, workers, 1, now)
        assert all(one.share == 0 or one.share >= 0.1 - 1e-9 for one in workers)
    assert sum(one.share for one in workers) > 0.9


@given(st.text(min_size=1), st.floats(0, 1))
def test_turns_are_spread_evenly_over_time(worker: str, part: float) -> None:
    turns = [turn_of(worker, NOW + number * TURN_S) for number in range(100)]
    assert sum(turn < part for turn in turns) == pytest.approx(100 * part, abs=5)
