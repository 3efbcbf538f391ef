"""Budgets a day: what is booked, what a claim may still take, and what waits."""

from __future__ import annotations

import pytest

from laneway.store.budgets import DAY_S, PROJECT, Budget, BudgetKind, Limits, end_of_day
from laneway.store.cells import Pick
from laneway.store.interface import Store
from laneway.store.steering import Change
from laneway.task import Attempt, Claimed, Outcome, Route, Spec, State, Urgency, Usage, WaitReason, Wire
from tests.store.conftest import OpenStore
from tests.store.helpers import LEASE, NOW, PYTHON, finish, new, run_with, settlement, tamper

ACCOUNT = Budget(BudgetKind.ACCOUNT, "main")
LANE = Budget(BudgetKind.LANE, "general")
TYPE = Budget(BudgetKind.TYPE, "chat")
PRICE = 1000.0  # USD per million tokens: a task of 150 tokens reserves 15 cents
OTHER_TYPE = Spec("other", Wire.CHAT)


async def claim(
    store: Store, limits: Limits, n: int = 100, now: float = NOW, worker: str = "w", price: float | None = PRICE
) -> list[Claimed]:
    heads = await store.peek(now, depth=n)
    return await store.claim(worker, [Pick(head.cell_id, n, "main", price, price) for head in heads], now, limits)


async def usd(store: Store, budget: Budget, at: float = NOW) -> tuple[float, float]:
    """(spent, reserved) on that day."""
    one = (await store.spending(at))[budget]
    return one.spent, one.reserved


async def test_what_is_reserved_and_spent_is_booked_by_account_lane_and_type(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new("a"), new("b")])
    tasks = await claim(store, {})
    assert await usd(store, LANE, at=NOW) == pytest.approx((0.0, 0.3))
    await finish(store, tasks[:1], cost=0.04)
    books = await store.spending(NOW)
    assert set(books) == {PROJECT, ACCOUNT, LANE, TYPE}
    assert all(tuple(one) == pytest.approx((0.04, 0.15)) for one in books.values())
    assert await store.check() == []


@pytest.mark.parametrize("budget", [PROJECT, ACCOUNT, LANE, TYPE], ids=str)
async def test_a_claim_stops_where_the_budget_is_used_up_and_only_the_last_may_pass_it(
    store: Store, budget: Budget
) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new(str(i)) for i in range(10)])
    limits = {budget: 0.40}
    tasks = await claim(store, limits)
    assert len(tasks) == 3  # the third passes it
    assert await claim(store, limits) == []
    await finish(store, tasks, cost=0.10)  # cheaper than was reserved: something is left
    assert len(await claim(store, limits)) == 1
    assert len(await claim(store, {})) == 6
    assert await store.check() == []


async def test_other_workers_count(open_store: OpenStore) -> None:
    one, other = await open_store(), await open_store()
    for store, worker in ((one, "w"), (other, "v")):
        await store.join(worker, LEASE, NOW)
    await run_with(one, [new(str(i)) for i in range(10)])
    assert len(await claim(one, {LANE: 0.40}, n=2)) == 2
    assert len(await claim(other, {LANE: 0.40}, worker="v")) == 1
    assert await claim(other, {LANE: 0.40}, worker="v") == []


async def test_a_lane_that_is_used_up_takes_nothing_from_another(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    legal = Route("legal", Urgency.STANDARD, "small")
    await run_with(store, [new("a"), new("b", route=legal), new("c", route=legal)])
    tasks = await claim(store, {Budget(BudgetKind.LANE, "legal"): 0.10})
    assert sorted(task.key or "" for task in tasks) == ["a", "b"]


async def test_tasks_of_a_type_that_is_used_up_step_aside_until_the_day_ends(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    run = await run_with(store, [*(new(f"a{i}") for i in range(20)), new("b", due=NOW + 1, spec=OTHER_TYPE)])
    first = await claim(store, {}, n=1)
    await finish(store, first, cost=0.15)
    tasks = await claim(store, {TYPE: 0.10}, n=3)
    assert [task.key for task in tasks] == ["b"]  # who comes later of another type is not held up
    waiting = await store.find_task("a7")
    assert waiting.state is State.WAITING
    assert waiting.wait_reason is WaitReason.BUDGET
    assert waiting.wake_at == end_of_day(NOW)
    assert await store.held_by_budget(run.id) == {"chat": 19}
    assert await store.held_by_budget(run.id + 1) == {}
    assert await store.check() == []
    await finish(store, tasks, cost=0.15)
    tomorrow = end_of_day(NOW)
    assert await store.wake(tomorrow - 1) == tomorrow
    await store.wake(tomorrow)
    assert len(await claim(store, {TYPE: 0.10}, now=tomorrow)) == 1
    assert await store.held_by_budget() == {}


async def test_a_type_whose_money_is_held_by_calls_in_flight_stays_and_is_passed_by(store: Store) -> None:
    """They may turn out far cheaper than they reserved: who waited for tomorrow then would leave most of it unused."""
    await store.join("w", LEASE, NOW)
    await run_with(store, [*(new(f"a{i}") for i in range(20)), new("b", due=NOW + 1, spec=OTHER_TYPE)])
    limits = {TYPE: 0.10}
    tasks = await claim(store, limits, n=3)
    assert [task.key for task in tasks] == ["a0", "b"]
    assert await store.held_by_budget() == {}
    assert await claim(store, limits) == []
    await finish(store, tasks[:1], cost=0.01)
    assert [task.key for task in await claim(store, limits)] == ["a1"]


async def test_so_many_of_them_that_others_are_out_of_sight_step_aside_for_a_moment(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [*(new(f"a{i:04}") for i in range(2500)), new("b", due=NOW + 1, spec=OTHER_TYPE)])
    limits = {TYPE: 0.10}
    first = await claim(store, limits, n=1)
    assert [task.key for task in first] == ["a0000"]
    claims = [await claim(store, limits, n=1) for _ in range(3)]
    assert [task.key for tasks in claims for task in tasks] == ["b"]
    wake_at = (await store.find_task("a0500")).wake_at
    assert wake_at is not None
    assert wake_at - NOW < 60
    await finish(store, first, cost=0.01)
    assert [task.key for task in await claim(store, limits)] == ["a0001"]  # some of them are at hand
    assert await store.check() == []


@pytest.mark.parametrize("budget", [PROJECT, ACCOUNT, LANE, TYPE], ids=str)
async def test_waiting_for_a_budget_takes_nothing_from_a_tasks_time_limit(store: Store, budget: Budget) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new("a")])
    (task,) = await claim(store, {})
    await store.settle("w", [settlement(task, State.WAITING, wake_at=NOW)], NOW)
    await store.wake(NOW)
    assert await claim(store, {budget: 0.0}) == []
    tomorrow = end_of_day(NOW)
    await store.wake(tomorrow)
    (task,) = await claim(store, {budget: 5.0}, now=tomorrow)
    assert task.begun_at == tomorrow


async def test_without_budgets_a_time_limit_runs_on_over_midnight(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new("a")])
    await finish(store, await claim(store, {}), State.WAITING, wake_at=NOW)
    await store.wake(NOW)
    (task,) = await claim(store, {}, now=end_of_day(NOW))
    assert task.begun_at == NOW


async def test_a_budget_that_was_raised_or_taken_away_lets_them_go_on_at_once(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new(str(i)) for i in range(5)])
    await finish(store, await claim(store, {TYPE: 0.10}), cost=0.15)
    assert await claim(store, {TYPE: 0.10}) == []
    assert await store.release_held({TYPE: 0.10}, NOW) == 0
    assert await store.release_held({TYPE: 1.00}, NOW) == 4
    assert await store.held_by_budget() == {}
    await finish(store, await claim(store, {TYPE: 0.40}), cost=0.15)
    assert await claim(store, {TYPE: 0.40}) == []
    assert await store.release_held({}, NOW) == 2
    assert await store.check() == []


async def test_a_type_with_a_budget_does_not_run_at_an_unknown_price(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new("a"), new("b", spec=OTHER_TYPE)])
    assert [task.key for task in await claim(store, {TYPE: 5.0}, price=None)] == ["b"]


async def test_a_call_counts_on_the_day_on_which_it_started(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new("a"), new("b")])
    late = end_of_day(NOW) - 1
    (task,) = await claim(store, {}, n=1, now=late)
    await store.settle("w", [settlement(task, cost=0.04)], late + 60)
    assert await usd(store, LANE, at=late) == pytest.approx((0.04, 0.0))
    assert LANE not in await store.spending(late + 60)
    assert await usd(store, PROJECT, at=late + 60) == pytest.approx((0.0, 0.0))
    assert len(await claim(store, {LANE: 0.01}, now=late + 60)) == 1
    assert await store.check() == []


async def test_a_lost_call_counts_as_reserved_until_its_late_answer(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await store.join("v", 1.0, NOW)
    await run_with(store, [new("a")])
    (task,) = await claim(store, {}, worker="v")
    await store.reap("w", NOW + 2 * LEASE)
    assert await usd(store, LANE, at=NOW) == pytest.approx((0.15, 0.0))
    assert await store.check() == []
    assert await store.settle("v", [settlement(task, cost=0.04)], NOW) == [False]
    assert await usd(store, LANE, at=NOW) == pytest.approx((0.04, 0.0))
    assert await store.check() == []


async def test_a_task_that_moved_is_booked_where_it_was_claimed(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new("a")])
    (task,) = await claim(store, {})
    await store.adjust([task.id], Change(lane="legal"), NOW)
    await finish(store, [task], cost=0.04)
    books = await store.spending(NOW)
    assert tuple(books[LANE]) == pytest.approx((0.04, 0.0))
    assert Budget(BudgetKind.LANE, "legal") not in books
    assert await store.check() == []


def inner_call(task: Claimed, call: int = 1, **more: object) -> Attempt:
    fields: dict[str, object] = {
        "outcome": None, "latency": None, "usage": None, "input_price": None, "output_price": None, "cost": None,
        "error": None,
    }  # fmt: skip
    return Attempt(task.id, task.fence, call, "small", "main", NOW, 0.15, **{**fields, **more})  # type: ignore[arg-type]


async def test_calls_of_python_tasks_count_for_their_lane_and_type(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    spec, route = PYTHON
    run = await run_with(store, [new("a", spec=spec, route=route), new("b", spec=spec, route=route)])
    work = Budget(BudgetKind.TYPE, "work")
    limits = {work: 0.20}
    task, other = await claim(store, limits, price=None)
    assert await store.record_call("w", inner_call(task), run.id, limits)
    assert await store.record_call("w", inner_call(other), run.id, limits)
    assert not await store.record_call("w", inner_call(task, 2), run.id, limits)
    done = inner_call(task, outcome=Outcome.OK, latency=1.0, usage=Usage(100, 50), cost=0.02)
    await store.record_call("w", done, run.id)
    books = await store.spending(NOW)
    assert books[work] == books[LANE] == books[ACCOUNT]
    assert tuple(books[work]) == pytest.approx((0.02, 0.15))
    assert await store.check() == []


async def test_an_inner_call_that_was_given_up_for_lost_is_corrected_by_its_answer(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await store.join("v", 1.0, NOW)
    spec, route = PYTHON
    run = await run_with(store, [new("a", spec=spec, route=route)])
    (task,) = await claim(store, {}, price=None, worker="v")
    await store.record_call("v", inner_call(task), run.id)
    await store.reap("w", NOW + 2 * LEASE)
    assert (await store.get_run(run.id)).spent == pytest.approx(0.15)
    done = inner_call(task, outcome=Outcome.OK, latency=1.0, usage=Usage(100, 50), cost=0.02)
    await store.record_call("v", done, run.id)
    assert (await store.get_run(run.id)).spent == pytest.approx(0.02)
    assert await usd(store, LANE, at=NOW) == pytest.approx((0.02, 0.0))
    assert await store.check() == []


async def test_the_runs_own_budget_and_the_days_hold_together(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new(str(i)) for i in range(10)], max_cost=0.50)
    assert len(await claim(store, {LANE: 0.20})) == 2
    assert len(await claim(store, {LANE: 5.00})) == 1


async def test_the_check_finds_books_that_are_not_the_ledgers(store: Store) -> None:
    await store.join("w", LEASE, NOW)
    await run_with(store, [new("a")])
    await finish(store, await claim(store, {}), cost=0.04)
    rows = "(SELECT count(*) FROM {0}spending WHERE kind = 'lane')"  # a sum may be spread over several
    await tamper(store, f"UPDATE {{0}}spending SET spent = 5.0 / {rows} WHERE kind = 'lane'")
    (fault,) = await store.check()
    assert "lane general: $5.000000 spent counted, $0.040000 in the ledger" in fault


def test_a_day_ends_at_midnight_utc() -> None:
    assert end_of_day(NOW) % DAY_S == 0
    assert 0 < end_of_day(NOW) - NOW <= DAY_S
    assert end_of_day(end_of_day(NOW)) == end_of_day(NOW) + DAY_S
