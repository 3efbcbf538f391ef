"""Budgets a day in simulated time: who stops, who goes on, and when."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from laneway.dispatch.budgets import Budgets
from laneway.dispatch.ending import Stop, StopReason
from laneway.providers.model import Account, Limits, Model
from laneway.store.budgets import PROJECT, Budget, BudgetKind, Spending, end_of_day
from laneway.store.cells import Pick
from laneway.store.steering import PauseKind
from laneway.task import NewTask, Spec, State, Wire
from tests.dispatch.world import DOWN, World, in_world, task
from tests.virtual import EPOCH

CALL = 0.00015  # USD: what a task reserves and costs here
LEGAL = Budget(BudgetKind.LANE, "legal")
MAIN, SECOND = (Budget(BudgetKind.ACCOUNT, name) for name in ("main", "second"))
CHAT = Budget(BudgetKind.TYPE, "chat")
OTHER = Spec("other", Wire.CHAT)
ACCOUNTS = [
    Account(name, "openai", Wire.CHAT, f"http://{name}", limits=Limits(concurrency=10)) for name in ("main", "second")
]
MIDNIGHT = end_of_day(EPOCH) - EPOCH


def some(n: int, lane: str = "general", **more: Any) -> list[NewTask]:
    return [task(f"{lane}{i}", lane=lane, **more) for i in range(n)]


async def states(world: World) -> dict[State, int]:
    found: dict[State, int] = {}
    for cell in await world.store.tally():
        for state, n in cell.counts.items():
            found[state] = found.get(state, 0) + n
    return {state: n for state, n in found.items() if n}


@pytest.mark.parametrize("budget", [PROJECT, LEGAL, MAIN, CHAT], ids=str)
def test_a_run_whose_work_is_all_held_by_a_budget_stops_and_says_which(budget: Budget) -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert f"the budget of {budget} is used up: $0.000600 of $0.000500 spent today" in stop.message
        assert "goes on after 00:00 UTC" in stop.message
        assert "higher budget_per_day" in stop.message
        assert stop.until == end_of_day(EPOCH)
        assert world.seconds < 10
        assert len(world.provider.starts) == 4
        assert sum(n for state, n in (await states(world)).items() if not state.ended) == 16

    in_world(some(20, "legal"), then, budgets={budget: 0.0005})


def test_work_that_has_no_such_budget_goes_on() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        bodies = [body for _, _, body in world.provider.starts]
        assert sum("general" in body for body in bodies) == 30
        assert sum("legal" in body for body in bodies) == 4

    in_world([*some(20, "legal"), *some(30)], then, budgets={LEGAL: 0.0005})


def test_an_account_that_is_used_up_leaves_the_models_other_one() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        used = [account for _, account in world.provider.accounts]
        assert used.count("main") == 4
        assert used.count("second") == 36

    in_world(some(40), then, budgets={MAIN: 0.0005}, accounts=ACCOUNTS)


def test_a_type_that_is_used_up_is_in_nobodys_way() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        bodies = [body for _, _, body in world.provider.starts]
        assert sum("late" in body for body in bodies) == 10
        assert len(bodies) == 14
        assert world.seconds < 10

    tasks = [*some(2500), *(task(f"late{i}", due=EPOCH + 1, spec=OTHER) for i in range(10))]
    in_world(tasks, then, budgets={CHAT: 0.0005})


async def late_in_the_evening(world: World) -> None:
    await asyncio.sleep(MIDNIGHT - 5)


@pytest.mark.parametrize("budget", [PROJECT, LEGAL, MAIN, CHAT], ids=str)
def test_a_worker_goes_on_by_itself_at_midnight(budget: Budget, caplog: pytest.LogCaptureFixture) -> None:
    async def until_the_morning(world: World) -> None:
        await asyncio.sleep(10)
        world.dispatcher.drain()

    async def then(world: World, stop: Stop) -> None:
        at = [at - MIDNIGHT for at, _, _ in world.provider.starts]
        assert [one < 0 for one in at] == [True] * 4 + [False] * 4
        assert at[4] < 0.1
        assert (await states(world))[State.SUCCEEDED] == 8

    caplog.set_level(logging.INFO)
    in_world(
        some(12, "legal"),
        then,
        budgets={budget: 0.0005},
        whole_store=True,
        before=late_in_the_evening,
        meanwhile=until_the_morning,
    )
    said = [r.message for r in caplog.records if "used up" in r.message]
    assert len(said) == 2  # once a day
    assert said[0].startswith(f"the budget of {budget} is used up: $0.000600 of $0.000500 spent today; its work goes")


def test_cheaper_answers_than_were_reserved_leave_room_for_more() -> None:
    """A task that reserves ten times what it costs must not hold the day's budget up."""

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert len(world.provider.starts) == 10  # 10 × 0.00015 = 0.0015

    in_world(some(30, input_tokens=1000, output_tokens=500), then, budgets={PROJECT: 0.0015})


def test_cheaper_answers_leave_room_for_more_of_a_type_too() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert len(world.provider.starts) == 10
        assert "$0.001500 of $0.001500 spent today" in stop.message

    in_world(some(3000, input_tokens=1000, output_tokens=500), then, budgets={CHAT: 0.0015})


def test_money_that_calls_in_flight_hold_is_not_asked_for_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def count(world: World) -> None:
        claim = world.store.claim

        async def counted(*args: Any) -> Any:
            nonlocal asked
            asked += 1
            return await claim(*args)

        monkeypatch.setattr(world.store, "claim", counted)

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert asked < 1.5 * world.seconds

    tasks = some(100, input_tokens=1000, output_tokens=500)
    in_world(tasks, then, budgets={CHAT: 0.002}, latency=lambda rng: 10.0, before=count)


def test_what_a_neighbour_put_aside_by_its_own_config_is_taken_up() -> None:
    async def aside(world: World) -> None:
        await world.store.join("neighbour", 60.0, world.clock.now())
        now = world.clock.now()
        picks = [Pick(head.cell_id, 20, "main", 1.0, 1.0) for head in await world.store.peek(now, depth=20)]
        assert await world.store.claim("neighbour", picks, now, {CHAT: 0.0}) == []
        assert sum((await world.store.held_by_budget()).values()) == 20

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert len(world.provider.starts) == 20

    in_world(some(20), then, budgets={PROJECT: 5.0}, before=aside)


@pytest.mark.parametrize("budget", [PROJECT, LEGAL, MAIN, CHAT], ids=str)
def test_a_run_whose_rest_has_no_price_stops_and_says_what_to_set(budget: Budget) -> None:
    """They were moved to such a model by hand, say."""
    free = Model("free", "free", tuple(ACCOUNTS[:1]))

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.PRICE
        assert "set input_price and output_price" in stop.message
        assert world.provider.starts == []

    in_world(some(20, "legal", model="free"), then, budgets={budget: 5.0}, models=[free], accounts=ACCOUNTS[:1])


def test_what_is_paused_by_hand_beside_a_used_up_budget_is_waited_for() -> None:
    async def resume(world: World) -> None:
        await asyncio.sleep(60)
        await world.store.resume(PauseKind.LANE, "other", world.clock.now())

    async def pause(world: World) -> None:
        await world.store.pause(PauseKind.LANE, "other", world.clock.now())

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert sum("other" in body for _, _, body in world.provider.starts) == 5

    tasks = [*some(20, "legal"), *some(5, "other")]
    in_world(tasks, then, budgets={LEGAL: 0.0005}, before=pause, meanwhile=resume)


def test_a_budget_of_the_run_ends_it_for_itself() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert stop.until is None
        assert len(world.provider.starts) == 3

    in_world(some(20), then, budgets={PROJECT: 5.0, CHAT: 5.0}, max_cost=0.0005)


def test_a_day_that_ends_first_is_not_taken_for_the_runs_budget() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert stop.until is not None

    in_world(some(2500), then, budgets={CHAT: 0.0005}, max_cost=5.0)


def test_what_a_person_paused_is_waited_for_and_not_called_a_budget() -> None:
    async def resume(world: World) -> None:
        await asyncio.sleep(60)
        await world.store.resume(PauseKind.LANE, "legal", world.clock.now())

    async def pause(world: World) -> None:
        await world.store.pause(PauseKind.LANE, "legal", world.clock.now())

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert world.seconds >= 60

    in_world(some(20, "legal"), then, budgets={LEGAL: 0.0005}, before=pause, meanwhile=resume)


def test_retries_wait_for_the_budget_like_any_call() -> None:

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET

    in_world(some(12), then, budgets={PROJECT: 0.001}, fault=lambda at, model: DOWN if at < 0.5 else None)


class TestWhatIsSaid:
    @pytest.mark.parametrize(
        ("budget", "where"),
        [(PROJECT, "budget_per_day"), (LEGAL, "budget_per_day under [lanes.legal]"),
         (MAIN, "budget_per_day under [accounts.main]"), (CHAT, "budget_per_day under [types.chat]")],
    )  # fmt: skip
    def test_where_to_raise_it(self, budget: Budget, where: str) -> None:
        budgets = Budgets({budget: 5.0})
        budgets.update({budget: Spending(5.02)}, EPOCH)
        assert budgets.why_stopped([budget]).endswith(f"or now with a higher {where}")
        assert "$5.02 of $5.00 spent today" in budgets.why_stopped([budget])

    def test_that_it_goes_on(self) -> None:
        budgets = Budgets({LEGAL: 5.0})
        assert len(budgets.update({LEGAL: Spending(5.02)}, EPOCH)[0]) == 1
        assert budgets.update({LEGAL: Spending(5.03)}, EPOCH) == ([], [])
        assert budgets.update({}, EPOCH + MIDNIGHT) == ([], ["the budget of lane legal has something left again"])

    def test_calls_in_flight_may_turn_out_cheaper(self) -> None:
        budgets = Budgets({LEGAL: 5.0})
        assert budgets.update({LEGAL: Spending(4.0, 1.5)}, EPOCH) == ([], [])
        blocked = budgets.of_place(None, "legal")
        assert blocked is not None
        assert blocked.budget is None
        assert budgets.of_place(None, "general") is None

    def test_without_a_price_nothing_can_be_counted(self) -> None:
        free = Model("free", "free", tuple(ACCOUNTS))
        budgets = Budgets({MAIN: 5.0})
        assert budgets.of_place(free, "legal") is None
        blocked = budgets.of_account("main", free)
        assert blocked is not None
        assert blocked.by == "price of model free"
        assert budgets.of_account("second", free) is None
