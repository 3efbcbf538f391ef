"""Who goes next: strict by urgency, nobody starves, nobody is held up by what is blocked."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ideal import Work, ideal, waits
from laneway.dispatch.desk import Admission, Blocked, Desk
from laneway.dispatch.desks import places
from laneway.dispatch.limits import Size
from laneway.dispatch.order import Order, Place, Plan, rises
from laneway.dispatch.turns import BELOW
from laneway.providers.model import Account, Limits
from laneway.simulator.options import Options
from laneway.store.cells import Head
from laneway.task import Urgency, Wire
from tests.dispatch.practice import account, practise, prompt
from tests.dispatch.world import World, in_world, task
from tests.virtual import EPOCH

NOW = 1000.0
ONE = Size(100, 50, 50)
IMMEDIATE, URGENT, STANDARD, RELAXED = Urgency
URGENCIES = st.sampled_from(list(Urgency))
LANES = st.sampled_from("abc")
DUE = st.floats(-1000, 1000)
CELLS = st.lists(st.tuples(URGENCIES, LANES, DUE), min_size=1, max_size=12)


def head(
    cell: int,
    urgency: Urgency = STANDARD,
    lane: str = "general",
    due: float = NOW + 60,
    n: int = 50,
    model: str = "small",
    ready: int | None = None,
) -> Head:
    sizes = tuple((due + i * 1e-3, 100, 50) for i in range(n))
    return Head(cell, 1, model, lane, urgency, n if ready is None else ready, sizes)


def heads_of(cells: Sequence[tuple[Urgency, str, float]], n: int = 50, after: float = 0.0) -> list[Head]:
    return [head(i, urgency, lane, NOW + due + after, n) for i, (urgency, lane, due) in enumerate(cells)]


def plan(
    order: Order,
    heads: Sequence[Head],
    slots: int,
    lanes: Mapping[str, int] | None = None,
    blocked: Callable[[str], bool] = lambda model: False,
    most: int | None = None,
) -> Plan:
    def admit(model: str, size: Size, now: float) -> Blocked | None:
        return Blocked(now + 5, "tokens_per_minute") if blocked(model) else None

    return order.plan(heads, slots, (lanes or {}).get, admit, lambda m, i, o: ONE, NOW, most=most)


def picked(made: Plan) -> dict[int, int]:
    return {cell: len(admissions) for cell, admissions in made.picks.items()}


def starts(order: Order, heads: Sequence[Head], n: int) -> list[int]:
    """The cells of ``n`` starts, one slot at a time, none of them ever running dry."""
    return [next(iter(plan(order, heads, 1).picks)) for _ in range(n)]


class TestUrgency:
    def test_the_more_urgent_class_goes_first_but_for_one_start_in_twenty(self) -> None:
        made = plan(Order(), [head(1, RELAXED), head(2, URGENT)], 40)
        assert picked(made) == {2: 38, 1: 2}

    def test_the_classes_below_take_turns_in_what_is_left_to_them(self) -> None:
        served = Counter(starts(Order(), [head(u, u) for u in Urgency], 6 * BELOW))
        assert served == {IMMEDIATE: 6 * (BELOW - 1), URGENT: 2, STANDARD: 2, RELAXED: 2}

    def test_an_urgent_task_now_and_then_gives_way_to_nobody(self) -> None:
        order, bulk, urgent = Order(), head(1, RELAXED), head(2, URGENT)
        for _ in range(5 * BELOW):
            assert starts(order, [bulk, urgent], 1) == [2]
            assert starts(order, [bulk], 1) == [1]

    def test_an_overdue_task_rises_one_class_and_takes_one_turn_in_four_there(self) -> None:
        overdue = NOW - 1
        assert picked(plan(Order(), [head(1, RELAXED, due=overdue), head(2)], 40)) == {2: 30, 1: 10}
        assert picked(plan(Order(), [head(1, RELAXED, due=overdue), head(2, URGENT)], 19)) == {2: 19}
        assert picked(plan(Order(), [head(1, RELAXED, due=overdue), head(2, RELAXED, due=NOW + 9)], 10)) == {1: 10}

    def test_ageing_is_by_task_not_by_cell(self) -> None:
        mixed = Head(1, 1, "small", "old", RELAXED, 9, tuple((NOW - 3 + i, 1, 1) for i in range(9)))
        made = plan(Order(), [mixed, head(2, STANDARD)], 19)
        assert picked(made) == {1: 3, 2: 16}, "the three that are overdue; the others are where they were"

    def test_a_task_rises_when_it_is_told_to_before_it_is_due(self) -> None:
        """At half its target wait, in use. By one class and once: however long it waits, it gets no further."""
        order = Order(rise_before={RELAXED: 50.0})
        waits = [head(1, RELAXED, due=NOW + 51), head(2, STANDARD, due=NOW + 1000)]
        assert picked(plan(order, waits, 19)) == {2: 19}
        waits[0] = head(1, RELAXED, due=NOW + 49)
        assert picked(plan(order, waits, 40)) == {2: 30, 1: 10}
        for due in (NOW + 49, NOW - 1e6):
            assert picked(
                plan(Order(rise_before={RELAXED: 50.0}), [head(1, RELAXED, due=due), head(2, URGENT)], 19)
            ) == {2: 19}

    @given(st.floats(-1e6, 1e6), st.sampled_from(Urgency), st.floats(0, 1e5))
    def test_only_classes_below_urgent_rise(self, due: float, urgency: Urgency, early: float) -> None:
        assert rises(due, urgency, early) == (due - early if urgency > URGENT else None)

    def test_a_class_is_not_drowned_by_what_rose_into_it(self) -> None:
        backlog = head(1, STANDARD, due=NOW - 5000, n=500)
        served = Counter(starts(Order(), [backlog, head(2, URGENT)], 400))
        assert served == {2: 300, 1: 100}
        order = Order()
        starts(order, [backlog], 100)
        assert starts(order, [backlog, head(2, URGENT)], 3) == [2, 2, 2], "one that comes now and then goes at once"

    @given(CELLS, st.integers(0, 60), st.randoms(use_true_random=False))
    def test_no_backlog_delays_an_immediate_task(
        self, cells: list[tuple[Urgency, str, float]], before: int, rng: random.Random
    ) -> None:
        backlog = [h for h in heads_of(cells) if h.urgency is not IMMEDIATE]
        order, one = Order(), head(99, IMMEDIATE)
        for _ in range(before if backlog else 0):
            starts(order, rng.sample(backlog, rng.randint(1, len(backlog))), 1)
        assert starts(order, [*backlog, one], 1) == [99]

    @given(CELLS, st.integers(1, 200))
    def test_immediate_work_gets_nineteen_of_twenty_whatever_is_overdue(
        self, cells: list[tuple[Urgency, str, float]], n: int
    ) -> None:
        cells = [cell for cell in cells if cell[0] is not IMMEDIATE]
        now = {99: head(99, IMMEDIATE, "now")}
        calm = starts(Order(), [*heads_of(cells, after=1e6), *now.values()], n)
        late = starts(Order(), [*heads_of(cells, after=-1e6), *now.values()], n)
        assert [cell == 99 for cell in late] == [cell == 99 for cell in calm], "being overdue changes nothing for it"
        for at in range(n):
            assert Counter(late[at : at + BELOW])[99] >= min(BELOW - 1, n - at - 1)


class TestNobodyStarves:
    @settings(max_examples=20)
    @given(CELLS)
    def test_every_class_and_lane_is_served_within_a_bounded_number_of_starts(
        self, cells: list[tuple[Urgency, str, float]]
    ) -> None:
        """One start in twenty for up to five levels below the first, three lanes each; or one in four for who rose."""
        heads = heads_of(cells)
        bound = BELOW * 5 * 3
        gaps: Counter[tuple[Urgency, str]] = Counter()
        for cell in starts(Order(), heads, 2 * bound):
            for place in {(one.urgency, one.lane) for one in heads}:
                gaps[place] += 1
            gaps[heads[cell].urgency, heads[cell].lane] = 0
            assert max(gaps.values()) <= bound, gaps

    def test_a_busy_account_does_not_decide_about_another(self) -> None:
        """Else the many starts on the fast one would earn the slow one's bulk more turns than its urgent work has."""
        order = Order(place={m: Place(m, m) for m in ("fast", "slow")}.__getitem__)
        heads = [head(1, URGENT, model="slow"), head(2, RELAXED, model="slow"), head(3, URGENT, model="fast", n=500)]
        served: Counter[int] = Counter()
        for at in range(4000):
            served.update(picked(plan(order, heads, 1, blocked=lambda model, at=at: model == "slow" and at % 50 > 0)))  # type: ignore[misc]
        assert served[1] / (served[1] + served[2]) == pytest.approx(0.95, abs=0.03)

    def test_a_lane_that_has_another_account_too_is_not_kept_from_the_shared_one(self) -> None:
        of = places({"small": ["main", "second"], "strong": ["main"]})
        order = Order(place=of.__getitem__)
        heads = [head(1, lane="x", model="small"), head(2, lane="x", model="strong"), head(3, lane="y", model="strong")]
        served: Counter[int] = Counter()
        for at in range(1000):
            full = at % 10 > 0  # main has a slot now and then, second always
            served.update(picked(plan(order, heads, 1, blocked=lambda m, full=full: m == "strong" and full)))  # type: ignore[misc]
        assert min(served[2], served[3]) >= 0.3 * (served[2] + served[3])

    def test_urgent_work_of_one_account_leaves_slots_to_another(self) -> None:
        order = Order(place={m: Place(m, m) for m in ("one", "two")}.__getitem__)
        served = Counter(starts(order, [head(1, URGENT, model="one"), head(2, RELAXED, model="two")], 100))
        assert served == {1: 95, 2: 5}


class TestLanes:
    def test_lanes_take_turns_by_weight(self) -> None:
        made = plan(Order({"a": 3.0, "b": 1.0}), [head(1, lane="a"), head(2, lane="b")], 40)
        assert picked(made) == {1: 30, 2: 10}

    def test_weights_hold_between_lanes_whose_models_share_an_account(self) -> None:
        order = Order({"a": 3.0, "b": 1.0}, places({"one": ["main"], "two": ["main"]}).__getitem__)
        assert picked(plan(order, [head(1, lane="a", model="one"), head(2, lane="b", model="two")], 40)) == {
            1: 30,
            2: 10,
        }

    @given(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 10.0]), min_size=2, max_size=5), st.integers(1, 300))
    def test_weights_are_met_within_one_turn(self, weights: list[float], n: int) -> None:
        order = Order({str(i): weight for i, weight in enumerate(weights)})
        served = Counter(starts(order, [head(i, lane=str(i)) for i in range(len(weights))], n))
        turns = [served[i] / weight for i, weight in enumerate(weights)]
        for i, one in enumerate(weights):
            for j, other in enumerate(weights):
                assert abs(turns[i] - turns[j]) <= max(1 / one, 1 / other) + 1e-9

    def test_a_lane_that_was_away_or_full_gets_no_turns_for_it(self) -> None:
        order, a, b = Order(), head(1, lane="a"), head(2, lane="b")
        plan(order, [a], 50)
        made = plan(order, [a, b], 20)
        assert abs(picked(made)[1] - picked(made)[2]) <= 1
        for _ in range(50):
            plan(order, [a, b], 1, {"b": 0})
        made = plan(order, [a, b], 20)
        assert abs(picked(made)[1] - picked(made)[2]) <= 1

    def test_within_a_lane_the_earliest_due_goes_first_whichever_model_or_run(self) -> None:
        heads = [head(1, due=NOW + 50), head(2, due=NOW + 10), head(3, due=NOW + 30, model="strong")]
        assert picked(plan(Order(), heads, 75)) == {2: 50, 3: 25}


class TestNobodyIsHeldUp:
    def test_a_full_lane_is_passed_over_and_named(self) -> None:
        made = plan(Order(), [head(1, lane="full"), head(2, lane="free")], 10, {"full": 2})
        assert picked(made) == {1: 2, 2: 8}
        assert made.blocked[1].by == "lane full"

    def test_a_blocked_model_blocks_nobody(self) -> None:
        heads = [head(1, IMMEDIATE, model="strong"), head(2)]
        made = plan(Order(), heads, 10, blocked=lambda model: model == "strong")
        assert picked(made) == {2: 10}
        assert made.wait_until == NOW + 5

    @given(
        st.lists(st.tuples(URGENCIES, LANES, DUE, st.sampled_from(["up", "down"])), min_size=1, max_size=12),
        st.integers(1, 60),
        st.dictionaries(LANES, st.integers(0, 5)),
    )
    def test_what_cannot_go_makes_no_difference_to_what_can(
        self, cells: list[tuple[Urgency, str, float, str]], slots: int, lanes: dict[str, int]
    ) -> None:
        order, alone = Order(), Order()
        heads = [head(i, u, lane, NOW + due, 5, model) for i, (u, lane, due, model) in enumerate(cells)]
        able = [one for one in heads if one.model == "up" and lanes.get(one.lane, 1) > 0]
        for _ in range(3):
            made = plan(order, heads, slots, lanes, lambda model: model == "down")
            assert picked(made) == picked(plan(alone, able, slots, lanes))
            assert made.size <= slots
            for lane, free in lanes.items():
                assert sum(n for cell, n in picked(made).items() if heads[cell].lane == lane) <= free
            left = [one for one in able if picked(made).get(one.cell_id, 0) < 5]
            if made.size < slots:  # work conserving: who is left had no room in his lane
                assert all(made.blocked[one.cell_id].by == f"lane {one.lane}" for one in left)

    @given(CELLS, st.integers(1, 60), st.randoms(use_true_random=False))
    def test_the_order_of_cells_in_hand_decides_nothing(
        self, cells: list[tuple[Urgency, str, float]], slots: int, rng: random.Random
    ) -> None:
        heads = heads_of(cells)
        mixed = rng.sample(heads, len(heads))
        assert picked(plan(Order(), heads, slots)) == picked(plan(Order(), mixed, slots))

    @given(CELLS, st.integers(1, 60), st.integers(1, 5))
    @settings(max_examples=300)
    def test_looking_at_fewer_tasks_and_cells_changes_no_order(
        self, cells: list[tuple[Urgency, str, float]], slots: int, depth: int
    ) -> None:
        order, taken = Order(), Counter[int]()
        wanted = picked(plan(Order(), heads_of(cells, n=3), slots))
        while True:
            heads = []
            for one in heads_of(cells, n=3):
                rest = one.sizes[taken[one.cell_id] :]
                if rest:
                    heads.append(Head(one.cell_id, 1, "small", one.lane, one.urgency, len(rest), rest[:depth]))
            shown: list[Head] = []
            for one in sorted(heads, key=lambda head: (head.sizes[0][0], head.cell_id)):
                place = (one.lane, one.urgency)
                if [(other.lane, other.urgency) for other in shown].count(place) < 2:
                    shown.append(one)
            made = plan(order, shown, slots - taken.total(), most=2)
            taken.update(picked(made))
            if made.cut is None:
                break
        assert dict(taken) == wanted


class TestCallsOfRunningTasks:
    def planned(self, heads: Sequence[Head], calls: Sequence[Head], account: int, slots: int = 50) -> Plan:
        """With an account that has so many slots left."""
        free = iter(range(account))
        desk = Desk(Account("main", "openai", Wire.CHAT, "http://x"), NOW, random.Random(1))

        def admit(model: str, size: Size, now: float) -> Admission | Blocked:
            full = next(free, None) is None
            return Blocked(None, "concurrency") if full else Admission(desk, 1, desk.limiter.take(size, now))

        return Order().plan(heads, slots, {"full": 0}.get, admit, lambda m, i, o: ONE, NOW, calls)

    def test_they_stand_where_their_task_stood(self) -> None:
        urgent, relaxed = head(1, URGENT, n=5), head(2, RELAXED, n=5)
        call = head(0, STANDARD, n=3)._replace(run_id=0)
        made = self.planned([urgent, relaxed], [call], account=10)
        assert picked(made) == {1: 5, 2: 2}
        assert {key: len(found) for key, found in made.calls.items()} == {("small", "general", STANDARD): 3}
        made = self.planned([urgent, relaxed], [call], account=5)
        assert (picked(made), made.calls) == ({1: 5}, {})
        assert made.calls_blocked[("small", "general", STANDARD)].by == "concurrency"

    def test_in_their_class_and_lane_they_come_before_what_is_due_later(self) -> None:
        made = self.planned([head(1, due=NOW + 60)], [head(0, due=NOW + 9, n=3)], account=4)
        assert (picked(made), [len(found) for found in made.calls.values()]) == ({1: 1}, [3])

    def test_they_need_no_slot_since_their_task_has_one(self) -> None:
        made = self.planned([head(1, URGENT, "full"), head(2, URGENT)], [head(0, RELAXED, "full", n=3)], 9, slots=0)
        assert (picked(made), [len(found) for found in made.calls.values()]) == ({}, [3])
        assert made.blocked == {}, "the worker's own slots are no limit to be told of"


class TestInAWorld:
    def test_many_small_calls_do_not_keep_a_large_urgent_one_from_its_tokens(self) -> None:
        small = [task(f"s{i}", RELAXED, due=EPOCH + i, input_tokens=50, output_tokens=50) for i in range(400)]
        large = [task("large", URGENT, input_tokens=400, output_tokens=200, wake_at=EPOCH + 2)]

        def look(world: World, stop: object) -> None:
            began = {body: at for at, _, body in world.provider.starts}
            assert 2.0 <= began["large"] < 3.2

        in_world([*small, *large], look, limits=Limits(tokens_per_minute=60_000, concurrency=50))

    def test_a_run_whose_budget_is_used_up_takes_no_turns_of_others(self) -> None:
        async def another(world: World) -> None:
            run = await world.store.open_run("another", info={}, max_cost=None, now=world.clock.now())
            await world.store.submit(run, [task(f"b{i}", due=EPOCH + 60) for i in range(10)], world.clock.now())

        async def wait(world: World) -> None:
            await asyncio.sleep(60)
            world.dispatcher.drain()

        def look(world: World, stop: object) -> None:
            began = Counter(body[0] for _, _, body in world.provider.starts)
            assert began["b"] == 10
            assert 0 < began["a"] < 20

        poor = [task(f"a{i}") for i in range(20)]
        limits = Limits(concurrency=1)
        in_world(poor, look, limits=limits, before=another, meanwhile=wait, max_cost=0.001, whole_store=True)

    @pytest.mark.parametrize(
        ("limits", "simulated"),
        [
            (Limits(concurrency=20), {"concurrency": 20}),
            (Limits(requests_per_minute=1800), {"rpm": 1800}),
        ],
        ids=["slots", "rate"],
    )
    def test_urgent_tasks_wait_no_longer_than_with_the_ideal_dispatcher(
        self, limits: Limits, simulated: dict[str, float]
    ) -> None:
        rng, at, arrivals = random.Random(5), 5.0, []
        for i in range(100):
            at += rng.expovariate(5.0)
            arrivals.append((at, prompt(f"u{i}", URGENT, due=at + 60)))
        bulk = [prompt(f"b{i}", RELAXED, due=-3600 if i % 2 else 3600) for i in range(1200)]
        options = Options(latency=0.5, spread=0.4, output_tokens=20, **simulated)  # type: ignore[arg-type]
        world = practise(bulk, options=options, accounts=[account("main", limits=limits)], arrivals=arrivals)
        work = [Work(("main",), arrival=at) for at, _ in arrivals] + [Work(("main",), rank=1)] * 1200
        best = sorted(waits(work, ideal(work, {"main": options}))[:100])
        assert world.waits(URGENT)[98] <= 1.1 * best[98] + 0.030
        assert world.books()["rate_limited"] == 0
        assert world.seconds <= 1.04 * ideal(work, {"main": options}).makespan
