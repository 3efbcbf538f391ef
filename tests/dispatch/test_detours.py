"""A fallback stands in for a model that is away, in simulated time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from laneway.dispatch.ending import Stop, StopReason
from laneway.providers.model import Account, Limits
from laneway.store.budgets import Budget, BudgetKind
from laneway.store.steering import PauseKind
from laneway.task import Failure, FailureClass, NewTask, Spec, State, Wire
from tests.dispatch.test_outages import ONCE, REFUSED, counted
from tests.dispatch.world import DOWN, World, in_world, task

WRONG_KEY = Failure(FailureClass.ACCOUNT, "invalid_api_key", "Incorrect API key provided.", 401)


def account(name: str, concurrency: int = 10) -> Account:
    return Account(name, "openai", Wire.CHAT, f"http://{name}", limits=Limits(concurrency=concurrency))


OA, AN = account("oa"), account("an")
CATALOG: dict[str, Sequence[Account]] = {"gpt": [OA], "claude": [AN]}


def work(n: int, fallbacks: tuple[str, ...] = ("claude",), name: str = "t", spec: Spec = ONCE) -> list[NewTask]:
    return [task(f"{name}{i}", model="gpt", fallbacks=fallbacks, spec=spec, due=1_700_000_000.0 + i) for i in range(n)]


def served(world: World, since: float = 0.0, until: float = 1e9) -> Counter[str]:
    return Counter(name for at, name in world.provider.accounts if since <= at < until)


def on_oa(failure: Failure, begin: float = 0.0, end: float = 1e9) -> Callable[[float, str], Failure | None]:
    return lambda at, name: failure if name == "oa" and begin <= at < end else None


@pytest.mark.parametrize("failure", [DOWN, REFUSED, WRONG_KEY], ids=["errors", "refused", "key"])
def test_all_tasks_go_to_the_fallback_of_a_model_that_never_answers(
    failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert await counted(world) == {State.SUCCEEDED: 200}
        assert served(world)["an"] == 200
        assert served(world)["oa"] <= 20
        assert world.seconds < 200 / 10 * 0.3 + 3
        diverted = await world.store.diverted(world.run.id, 0.0)
        assert diverted == {("gpt", "claude"): 200}
        (detour,) = await world.store.detours(world.run.id, 150)
        assert (detour.origin, detour.model) == ("gpt", "claude")
        assert "account oa" in detour.reason
        assert sum("model gpt is away (account oa" in one.message for one in caplog.records) == 1

    caplog.set_level(logging.INFO)
    in_world(work(200), then, catalog=CATALOG, account_fault=on_oa(failure))


def test_no_more_go_than_the_fallback_admits_and_the_rest_goes_home_when_the_model_is_back() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert await counted(world) == {State.SUCCEEDED: 900}
        assert served(world, until=10)["an"] == 0
        during = served(world, 10, 40)["an"]
        assert during == pytest.approx(28 / 0.3 * 2, rel=0.15), "two at once, and no more on their way"
        assert sum((await world.store.diverted(world.run.id, 0.0)).values()) <= during + 2
        assert served(world, since=44)["an"] == 0
        assert served(world, since=44)["oa"] > 0

    in_world(
        work(900),
        then,
        catalog={"gpt": [OA], "claude": [account("an", 2)]},
        account_fault=on_oa(DOWN, 10, 40),
    )


def test_tasks_without_a_fallback_wait_and_hide_nobody_behind_them() -> None:
    """3,000 without one stand before ten with one."""

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.ACCOUNT
        assert "account oa is paused" in stop.message
        assert await counted(world) == {State.SUCCEEDED: 10, State.READY: 3000}
        assert world.seconds < 5

    in_world(
        [*work(3000, (), "alone"), *[_late(one) for one in work(10)]],
        then,
        catalog=CATALOG,
        account_fault=on_oa(WRONG_KEY),
    )


def _late(one: NewTask) -> NewTask:
    import dataclasses

    return dataclasses.replace(one, due_at=one.due_at + 10_000)


def test_the_next_model_that_is_there_is_taken() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert served(world)["third"] == 50

    in_world(
        work(50, ("claude", "llama")),
        then,
        catalog={**CATALOG, "llama": [account("third")]},
        account_fault=lambda at, name: WRONG_KEY if name != "third" else None,
    )


def test_where_all_are_away_the_run_waits_for_whichever_is_back_first() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert await counted(world) == {State.SUCCEEDED: 300}
        assert served(world, since=35, until=36)["oa"] > 10

    in_world(
        work(300),
        then,
        catalog=CATALOG,
        account_fault=lambda at, name: DOWN if 3 <= at < (30 if name == "oa" else 100) else None,
    )


def test_where_all_are_paused_the_run_stops_and_says_so() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.ACCOUNT
        assert "account oa is paused" in stop.message
        assert "account an is paused" in stop.message
        assert (await counted(world))[State.READY] == 50

    in_world(work(50), then, catalog=CATALOG, account_fault=lambda at, name: WRONG_KEY)


def test_a_run_waits_for_a_fallback_that_is_down_for_a_moment() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert served(world)["an"] >= 50

    in_world(
        work(50),
        then,
        catalog=CATALOG,
        account_fault=lambda at, name: WRONG_KEY if name == "oa" else DOWN if at < 8 else None,
    )


def test_a_pause_by_hand_sends_nobody_elsewhere() -> None:
    async def pause(world: World) -> None:
        await world.store.pause(PauseKind.ACCOUNT, "oa", world.clock.now())

    async def resume(world: World) -> None:
        await asyncio.sleep(20)
        assert not world.provider.accounts
        await world.store.resume(PauseKind.ACCOUNT, "oa", world.clock.now())

    def then(world: World, stop: Stop) -> None:
        assert served(world) == {"oa": 50}

    in_world(work(50), then, catalog=CATALOG, before=pause, meanwhile=resume)


def test_an_account_by_itself_away_is_the_other_account_s_affair() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert served(world)["an"] == 0
        assert served(world)["second"] == 100

    in_world(
        work(100),
        then,
        catalog={"gpt": [OA, account("second")], "claude": [AN]},
        account_fault=on_oa(WRONG_KEY),
    )


def test_an_account_s_used_up_budget_of_the_day_sends_its_tasks_to_the_fallback() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert 1 <= served(world)["oa"] <= 14
        assert served(world)["an"] == 50 - served(world)["oa"]

    in_world(work(50), then, catalog=CATALOG, budgets={Budget(BudgetKind.ACCOUNT, "oa"): 0.0005})
