"""Tasks that are claimed in the commit of their submission, where nothing waits before them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laneway.dispatch.ending import Stop
from laneway.providers.model import Limits
from laneway.store.cells import Pick
from laneway.store.sqlite import SQLiteStore
from laneway.store.steering import PauseKind
from laneway.task import NewTask, State, Urgency
from tests.dispatch.test_dispatcher import states
from tests.dispatch.world import World, in_world, task
from tests.virtual import EPOCH

BETWEEN = 0.003  # s, so that it falls between two looks at the queue


async def submit(world: World, new: NewTask) -> bool:
    submitting = world.store.submit(world.run, [new], world.clock.now())
    begun = world.dispatcher.claim_at_once(world.run.id, new)
    await submitting
    return begun


async def begin(world: World) -> None:
    """One task has been done, so its cell is known; and the worker has looked at an empty queue."""
    await asyncio.sleep(1.0 + BETWEEN)


def starts(world: World) -> dict[str, float]:
    return {body: at for at, _, body in world.provider.starts}


def in_service(meanwhile: object, then: object = lambda world, stop: None, **more: object) -> None:
    """A worker that has done one task, and ends when ``meanwhile`` has."""

    async def serve(world: World) -> None:
        await begin(world)
        try:
            await meanwhile(world)  # type: ignore[operator]
        finally:
            world.dispatcher.drain()

    in_world([task("first")], then, meanwhile=serve, whole_store=True, **more)  # type: ignore[arg-type]


def test_it_begins_before_the_next_look() -> None:
    async def meanwhile(world: World) -> None:
        assert await submit(world, task("second"))
        await asyncio.sleep(1.0)
        assert await states(world) == {State.SUCCEEDED: 2}

    def then(world: World, stop: Stop) -> None:
        assert starts(world)["second"] == pytest.approx(1.0 + BETWEEN, abs=1e-6)

    in_service(meanwhile, then)


def test_nothing_goes_before_those_that_wait() -> None:
    """Not even in the moment in which a call has ended and nobody has looked at the queue."""

    async def meanwhile(world: World) -> None:
        await world.store.submit(world.run, [task(f"early{i}") for i in range(3)], world.clock.now())
        world.dispatcher.poke()
        for _ in range(2):
            await asyncio.sleep(0.3)  # as long as a call
            for _ in range(10):
                assert not world.dispatcher.claim_at_once(world.run.id, task("late", Urgency.STANDARD))
                await asyncio.sleep(0)
        await asyncio.sleep(3.0)
        assert await states(world) == {State.SUCCEEDED: 4}

    in_service(meanwhile, limits=Limits(concurrency=1))


def test_what_the_account_does_not_admit_is_left_to_the_queue() -> None:
    async def meanwhile(world: World) -> None:
        begun = [await submit(world, task(str(i))) for i in range(5)]
        assert begun == [True, True, False, False, False]
        await asyncio.sleep(3.0)
        assert await states(world) == {State.SUCCEEDED: 6}

    def then(world: World, stop: Stop) -> None:
        assert world.provider.most_in_flight == 2

    in_service(meanwhile, then, limits=Limits(concurrency=2))


def test_the_slots_of_a_lane_are_kept() -> None:
    async def meanwhile(world: World) -> None:
        assert [await submit(world, task(str(i))) for i in range(2)] == [True, False]
        await asyncio.sleep(1.0)

    in_service(meanwhile, lanes={"general": 1})


def test_a_worker_s_own_slots_are_kept() -> None:
    async def meanwhile(world: World) -> None:
        assert [await submit(world, task(str(i))) for i in range(3)] == [True, True, False]
        await asyncio.sleep(1.0)

    in_service(meanwhile, max_in_flight=2)


def test_a_paused_lane_begins_nothing() -> None:
    async def meanwhile(world: World) -> None:
        await world.store.pause(PauseKind.LANE, "general", world.clock.now())
        await asyncio.sleep(1.0)
        assert not await submit(world, task("held"))
        await asyncio.sleep(1.0)
        assert await states(world) == {State.SUCCEEDED: 1, State.READY: 1}

    in_service(meanwhile)


def test_what_was_there_already_gives_its_place_back() -> None:
    async def meanwhile(world: World) -> None:
        assert await submit(world, task("first"))
        await asyncio.sleep(0.1)
        assert world.dispatcher.in_flight == 0
        assert world.desk().in_flight == 0
        await world.store.submit(world.run, [task("second")], world.clock.now())
        await asyncio.sleep(1.0)
        assert await states(world) == {State.SUCCEEDED: 2}

    in_service(meanwhile, limits=Limits(concurrency=1))


def test_an_end_waits_for_what_is_being_claimed() -> None:
    async def meanwhile(world: World) -> None:
        await submit(world, task("last"))

    async def then(world: World, stop: Stop) -> None:
        assert (await states(world))[State.RUNNING] == 0

    in_service(meanwhile, then)


arrivals = st.lists(
    st.tuples(st.sampled_from([0.0, 0.001, 0.05, 0.4]), st.sampled_from("abcdef"), st.sampled_from(Urgency)),
    max_size=40,
)


@given(arrivals, st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_limits_hold_and_everything_ends_once(arrivals: list[tuple[float, str, Urgency]], slots: int) -> None:
    async def meanwhile(world: World) -> None:
        for after, key, urgency in arrivals:
            await asyncio.sleep(after)
            await submit(world, task(key, urgency))
        await asyncio.sleep(20.0)
        assert await states(world) == {State.SUCCEEDED: 1 + len({key for _, key, _ in arrivals})}

    def then(world: World, stop: Stop) -> None:
        bodies = [body for _, _, body in world.provider.starts]
        assert len(bodies) == len(set(bodies))
        assert world.provider.refused == 0
        assert world.provider.most_in_flight <= slots

    in_service(meanwhile, then, limits=Limits(concurrency=slots), concurrency=slots)


async def test_a_claim_right_behind_its_submission_shares_its_commit(tmp_path: Path) -> None:
    store, now = SQLiteStore(tmp_path / "s.db"), EPOCH
    try:
        assert store.in_order
        run = await store.open_run("serve", info={}, max_cost=None, now=now)
        await store.submit(run, [task("first")], now)
        (head,) = await store.peek(now, depth=1)
        await store.join("w", 60, now)
        await store.claim("w", [Pick(head.cell_id, 1)], now)
        begun, let_go = threading.Event(), threading.Event()

        def hold(_: object) -> None:
            begun.set()
            let_go.wait(10)

        held = store._writer.write(hold)
        await asyncio.to_thread(begun.wait, 10)
        submitting = store.submit(run, [task("second")], now)
        claiming = store.claim("w", [Pick(head.cell_id, 1)], now)
        before = store._writer.commits
        let_go.set()
        await held
        assert [one.key for one in await claiming] == ["second"]
        assert (await submitting).new == 1
        assert store._writer.commits - before == 2, "the one that held it up, and theirs"
    finally:
        await store.close()
