"""Pauses in simulated time: what somebody holds starts nothing new, and everything else goes on."""

from __future__ import annotations

import asyncio
import logging

import pytest

from laneway.dispatch.ending import Stop, StopReason
from laneway.dispatch.pauses import Pauses
from laneway.providers.model import Limits
from laneway.store.steering import Pause, PauseKind
from laneway.task import Failure, FailureClass, State
from tests.dispatch.test_dispatcher import WRONG_KEY, states
from tests.dispatch.world import World, in_world, task
from tests.virtual import EPOCH


def starts(world: World, prefix: str) -> list[float]:
    return [at for at, _, body in world.provider.starts if body.startswith(prefix)]


def test_a_paused_lane_is_passed_over_until_it_is_resumed() -> None:
    async def meanwhile(world: World) -> None:
        await asyncio.sleep(0.45)
        await world.store.pause(PauseKind.LANE, "legal", world.clock.now())
        await asyncio.sleep(20)
        await world.store.resume(PauseKind.LANE, "legal", world.clock.now())

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert await states(world) == {State.SUCCEEDED: 400}
        legal = starts(world, "l")
        assert not [at for at in legal if 1.0 < at < 20.4], "held within half a second, whatever was due"
        assert min(at for at in legal if at > 20.4) < 21.0
        other = starts(world, "g")
        assert max(other) == pytest.approx((200 + len([at for at in legal if at < 1])) / 10 * 0.3, abs=0.7), (
            "the other lane has all the slots"
        )

    legal = [task(f"l{i}", lane="legal", due=EPOCH - 100) for i in range(200)]
    in_world([*legal, *(task(f"g{i}") for i in range(200))], then, meanwhile=meanwhile)


def test_a_run_whose_rest_is_paused_waits_and_says_once_how_to_resume(caplog: pytest.LogCaptureFixture) -> None:
    async def before(world: World) -> None:
        await world.store.pause(PauseKind.LANE, "legal", world.clock.now())

    async def meanwhile(world: World) -> None:
        await asyncio.sleep(3600)
        assert await states(world) == {State.READY: 5, State.SUCCEEDED: 5}
        await world.store.resume(PauseKind.LANE, "legal", world.clock.now())

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert await states(world) == {State.SUCCEEDED: 10}
        said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert said == [
            "everything that is left waits: lane legal is paused (`laneway resume lane legal` lets it go on)"
        ]
        held = world.dispatcher.watch.total(world.clock.now())
        assert held["pause of lane legal"] == pytest.approx(3600, abs=3)

    work = [task(f"l{i}", lane="legal") for i in range(5)] + [task(f"g{i}") for i in range(5)]
    in_world(work, then, before=before, meanwhile=meanwhile)


def test_a_paused_run_starts_nothing_and_finishes_what_is_in_flight() -> None:
    async def meanwhile(world: World) -> None:
        await asyncio.sleep(0.1)
        await world.store.pause(PauseKind.RUN, str(world.run.id), world.clock.now())
        await asyncio.sleep(100)
        assert (await states(world))[State.RUNNING] == 0
        world.dispatcher.drain()

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.INTERRUPTED
        found = await states(world)
        assert found[State.SUCCEEDED] in (10, 20)
        assert found[State.READY] == 100 - found[State.SUCCEEDED]

    in_world([task(str(i)) for i in range(100)], then, meanwhile=meanwhile)


def test_a_paused_account_is_not_called_by_anybody() -> None:
    async def before(world: World) -> None:
        await world.store.pause(PauseKind.ACCOUNT, "main", world.clock.now())

    async def meanwhile(world: World) -> None:
        await asyncio.sleep(60)
        assert world.provider.starts == []
        await world.store.resume(PauseKind.ACCOUNT, "main", world.clock.now())

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert min(at for at, _, _ in world.provider.starts) < 60.5

    in_world([task(str(i)) for i in range(20)], then, before=before, meanwhile=meanwhile)


def test_a_failed_account_stops_the_run_though_another_lane_is_paused() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.ACCOUNT
        assert "wrong key" in stop.message

    async def before(world: World) -> None:
        await world.store.pause(PauseKind.LANE, "legal", world.clock.now())

    work = [task(f"l{i}", lane="legal") for i in range(5)] + [task(f"g{i}") for i in range(5)]
    in_world(work, then, fault=lambda at, model: WRONG_KEY, before=before)


def test_resuming_an_account_lets_workers_try_what_had_failed() -> None:
    def fault(at: float, model: str) -> Failure | None:
        return Failure(FailureClass.ACCOUNT, "insufficient_quota", "no credit", 429) if at < 30 else None

    async def meanwhile(world: World) -> None:
        await asyncio.sleep(60)
        assert world.desk().paused == "no credit"
        assert await world.store.resume(PauseKind.ACCOUNT, "main", world.clock.now()) is True, (
            "its failure had paused it"
        )
        await asyncio.sleep(60)
        world.dispatcher.drain()

    async def then(world: World, stop: Stop) -> None:
        assert await states(world) == {State.SUCCEEDED: 20}
        assert world.desk().paused is None

    work = [task(str(i)) for i in range(20)]
    in_world(work, then, fault=fault, meanwhile=meanwhile, whole_store=True, limits=Limits(concurrency=2))


def test_only_a_resumption_that_comes_later_forgives() -> None:
    pauses = Pauses()
    before = Pause(PauseKind.ACCOUNT, "main", None, 3)
    assert pauses.update([before]) == ([], set())
    assert pauses.update([before]) == ([], set())
    assert pauses.update([Pause(PauseKind.ACCOUNT, "main", None, 4)]) == ([], {"main"})


def test_news_is_told_once() -> None:
    pauses = Pauses()
    held = Pause(PauseKind.LANE, "legal", 1.0, 0)
    assert pauses.update([held])[0] == ["lane legal is paused"]
    assert pauses.update([held])[0] == []
    assert pauses.update([Pause(PauseKind.LANE, "legal", None, 1)])[0] == ["lane legal goes on"]
