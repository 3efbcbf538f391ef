"""Waiting for tasks: what is told in this process is not read again, and nobody waits for what is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from laneway.app.jobs import Answered, Board
from laneway.clock import SystemClock
from laneway.errors import NoWorker
from laneway.store.cells import Pick
from laneway.store.sqlite import SQLiteStore
from laneway.task import Claimed, Outcome, Settlement, State, Task, Wire
from tests.dispatch.world import task
from tests.virtual import EPOCH


class Watched(SQLiteStore):
    looks = 0

    async def get_tasks(self, ids: Sequence[int]) -> list[Task]:
        self.looks += 1
        return await super().get_tasks(ids)


class Here(NamedTuple):
    store: Watched
    board: Board
    task_id: int

    async def end(self) -> tuple[Claimed, Settlement]:
        (head,) = await self.store.peek(EPOCH, depth=1)
        (claimed,) = await self.store.claim("w", [Pick(head.cell_id, 1)], EPOCH)
        done = Settlement(claimed.id, claimed.fence, State.SUCCEEDED, Outcome.OK, EPOCH, 0.1, output=b"yes")
        assert await self.store.settle("w", [done], EPOCH) == [True]
        return claimed, done


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    store = Watched(tmp_path / "s.db", inline=True)
    run = await store.open_run("serve", info={}, max_cost=None, now=EPOCH)
    await store.join("w", 60, EPOCH)
    (task_id,) = (await store.submit(run, [task("one")], EPOCH)).ids
    board = Board(store, SystemClock())
    yield Here(store, board, task_id)
    board.close()
    await store.close()


async def test_an_answer_that_is_told_is_not_read_again(here: Here) -> None:
    done = await here.end()
    waiting = asyncio.ensure_future(here.board.answer(here.task_id, 10, new=True))
    other = asyncio.ensure_future(here.board.answer(here.task_id, 10, new=True))
    await asyncio.sleep(0)
    here.board.written([done])
    assert await waiting == await other == Answered(here.task_id, Wire.CHAT, b"yes")
    assert here.store.looks == 0


async def test_an_end_without_an_answer_is_read(here: Here) -> None:
    waiting = asyncio.ensure_future(here.board.answer(here.task_id, 10, new=True))
    await asyncio.sleep(0)
    await here.end()
    here.board.ended(here.task_id)
    found = await waiting
    assert isinstance(found, Task)
    assert (found.state, found.output) == (State.SUCCEEDED, b"yes")


async def test_who_comes_a_moment_too_late_does_not_wait(here: Here) -> None:
    run = await here.store.find_run("serve")
    assert run is not None
    (second,) = (await here.store.submit(run, [task("two")], EPOCH)).ids
    other = asyncio.ensure_future(here.board.wait(second, 10))
    for _ in range(5):
        await asyncio.sleep(0)  # the poll has begun, for the other
    await here.end()
    async with asyncio.timeout(5):
        while here.task_id not in here.board._ended_lately:  # noqa: ASYNC110 - it is seen
            await asyncio.sleep(0)
    found = await asyncio.wait_for(here.board.answer(here.task_id, 10, new=True), 5)
    other.cancel()
    assert isinstance(found, Task)
    assert found.state is State.SUCCEEDED


async def test_what_another_process_ended_is_found(here: Here) -> None:
    waiting = asyncio.ensure_future(here.board.answer(here.task_id, 10, new=True))
    await asyncio.sleep(0)
    await here.end()
    found = await asyncio.wait_for(waiting, 5)
    assert isinstance(found, Task)
    assert found.output == b"yes"


async def test_without_a_worker_the_wait_says_so(here: Here) -> None:
    await here.store.leave("w", EPOCH)
    with pytest.raises(NoWorker):
        await here.board.answer(here.task_id, 0, new=True)
