"""Waiting for tasks that were submitted: one look at the new results serves everybody who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from laneway.errors import NotFoundError, NoWorker, TaskCancelled, TaskFailed, UsageError, WaitTimeout
from laneway.store.interface import Store
from laneway.store.news import Ear, News
from laneway.task import Failure, FailureClass, State, Task, Wire

if TYPE_CHECKING:
    from laneway.clock import Clock
    from laneway.dispatch.settler import Batch
    from laneway.task import Claimed, Settlement

R = TypeVar("R")
API_RUN = "api"  # the run that tasks submitted from Python belong to
NO_WORKER_S = 15.0  # without a time limit of the caller's, a missing worker is reported after this long
MOST_ENDED = 1000  # remembered, for those who begin to wait a moment too late


class Answered(NamedTuple):
    """What became of a task that succeeded in this process: it need not be read from the store again."""

    id: int
    wire: Wire
    output: bytes


class Job(Generic[R]):
    """A submitted task. ``id`` and ``key`` name it on the command line as well."""

    __slots__ = ("_board", "_decode", "_id", "key")

    def __init__(
        self, id_: int | None, key: str | None, board: Callable[[], Board], decode: Callable[[bytes], R]
    ) -> None:
        """``board``: that of the event loop on which it is asked."""
        self._id = id_
        self.key = key
        self._board = board
        self._decode = decode

    @property
    def id(self) -> int:
        if self._id is None:
            raise UsageError(
                f"the task {self.key!r} has no id before its transaction has committed and it was carried to the store",
                hint="name it by its key",
            )
        return self._id

    async def result(self, timeout: float | None = None) -> R:
        """The task's result, when it is there. ``timeout`` in seconds; the task goes on when it runs out.

        Raises TaskFailed, TaskCancelled, WaitTimeout, and NoWorker when no worker is there to do it.
        """
        return self.unwrap(await self._board().wait(self.id, timeout))

    async def status(self) -> Task:
        """The task as it stands."""
        return await self._board().look(self.id)

    async def ended_beside(self, jobs: Iterable[Job[R]]) -> dict[int, Task]:
        """Those of this one and of other jobs of the same app that have ended, by id, with one look at the store."""
        return await self._board().ended_among([job.id for job in (self, *jobs)])

    def unwrap(self, task: Task) -> R:
        """The result of an ended task, or its error raised."""
        if task.pruned and task.state is State.SUCCEEDED:
            raise NotFoundError(
                f"the result of task {task.id} was pruned from the store",
                hint='keep = "…" in laneway.toml, and `laneway prune`, say how long results are kept',
            )
        if task.state is State.SUCCEEDED:
            return self._decode(task.output or b"null")
        name = task.key or f"task {task.id}"
        if task.state is State.CANCELLED:
            raise TaskCancelled(f"{name} was cancelled")
        error = task.error or {}
        failure = Failure(
            FailureClass(error.get("class", "code")),
            error.get("code", ""),
            error.get("message", ""),
            error.get("status"),
        )
        raise TaskFailed(
            f"{name} failed: {failure.message}",
            hint=f"`laneway explain {task.id}` shows every attempt",
            failure=failure,
        )

    def __repr__(self) -> str:
        return f"<Job {self._id or 'pending'}{f' {self.key!r}' if self.key else ''}>"


class Board:
    """Knows who waits for which task. Polls the store only while somebody waits."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[int, list[asyncio.Future[Answered | None]]] = {}
        self._ended_lately: dict[int, None] = {}
        self._poller: asyncio.Task[None] | None = None

    async def look(self, task_id: int) -> Task:
        return (await self._store.get_tasks([task_id]))[0]

    async def ended_among(self, task_ids: Sequence[int]) -> dict[int, Task]:
        return {task.id: task for task in await self._store.get_tasks(task_ids) if task.state.ended}

    async def wait(self, task_id: int, limit: float | None) -> Task:
        found = await self.answer(task_id, limit)
        return found if isinstance(found, Task) else await self.look(task_id)

    async def answer(self, task_id: int, limit: float | None, *, new: bool = False) -> Task | Answered:
        """The same, without a look at the store where that is not needed. ``new``: it was submitted just now."""
        started = self._clock.now()
        while True:
            left = NO_WORKER_S if limit is None else limit - (self._clock.now() - started)
            found = await self._ended(task_id, left, new=new)
            if isinstance(found, Answered) or found.state.ended:
                return found
            new = False
            await self._complain(task_id, limit)

    def written(self, batch: Batch) -> None:
        """What became of tasks of this process: whoever waits for one that ended need not wait for the next poll."""
        ended = {task.id: (task, settlement) for task, settlement in batch if settlement.state.ended}
        self._remember(ended)
        for task_id in self._waiting.keys() & ended.keys():
            self._answer(task_id, _answered(*ended[task_id]))

    def ended(self, task_id: int) -> None:
        """One did, wherever."""
        self._remember([task_id])
        self._answer(task_id, None)

    def _remember(self, task_ids: Iterable[int]) -> None:
        self._ended_lately.update(dict.fromkeys(task_ids))
        if len(self._ended_lately) > 2 * MOST_ENDED:
            self._ended_lately = dict.fromkeys(list(self._ended_lately)[-MOST_ENDED:])

    def _answer(self, task_id: int, answer: Answered | None) -> None:
        for waiter in self._waiting.pop(task_id, ()):
            if not waiter.done():
                waiter.set_result(answer)

    async def _ended(self, task_id: int, seconds: float, *, new: bool) -> Task | Answered:
        """The task when it has ended, or the time is up."""
        waiter: asyncio.Future[Answered | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(task_id, []).append(waiter)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        try:
            if not new or task_id in self._ended_lately:
                task = await self.look(task_id)  # it may have ended before somebody waited
                if task.state.ended or seconds <= 0:
                    return task
            await asyncio.wait((waiter,), timeout=max(0.0, seconds))
            return (waiter.result() if waiter.done() else None) or await self.look(task_id)
        finally:
            self._leave(task_id, waiter)

    def _leave(self, task_id: int, waiter: asyncio.Future[Answered | None]) -> None:
        waiters = self._waiting.get(task_id, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            self._waiting.pop(task_id, None)

    async def _complain(self, task_id: int, limit: float | None) -> None:
        now = self._clock.now()
        alive = [worker for worker in await self._store.workers(now) if worker.lease_until > now]
        if not alive:
            raise NoWorker(
                f"task {task_id} waits and no worker serves this store",
                hint="start `laneway worker --app …`, or use `async with lw.worker():`",
            )
        if limit is not None:
            raise WaitTimeout(f"task {task_id} has not ended within {limit:g} s", hint="it goes on; ask again later")

    async def _poll(self) -> None:
        cursor = await self._store.last_result()
        for task_id in list(self._waiting):  # those that ended before the cursor was read
            if (await self.look(task_id)).state.ended:
                self.ended(task_id)
        ear = Ear(self._store, News.RESULTS)
        try:
            while self._waiting:
                await ear.wait()
                while news := await self._store.ended_after(cursor, 1000):
                    for _, task_id in news:
                        self.ended(task_id)
                    cursor = news[-1][0]
        finally:
            ear.close()

    def close(self) -> None:
        if self._poller is not None:
            self._poller.cancel()


class Boards:
    """One for each event loop."""

    def __init__(self) -> None:
        self._boards: dict[asyncio.AbstractEventLoop, Board] = {}

    def here(self, store: Store, clock: Clock) -> Board:
        """Of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._boards:
            self._boards = {known: board for known, board in self._boards.items() if not known.is_closed()}
            self._boards[loop] = Board(store, clock)
        return self._boards[loop]

    def written(self, loop: asyncio.AbstractEventLoop, batch: Batch) -> None:
        if board := self._boards.get(loop):
            board.written(batch)

    def close(self) -> None:
        for loop, board in self._boards.items():
            if not loop.is_closed():
                call_soon(loop, board.close)
        self._boards = {}


def _answered(task: Claimed, settlement: Settlement) -> Answered | None:
    if settlement.state is not State.SUCCEEDED or settlement.output is None:
        return None
    return Answered(task.id, task.spec.wire, settlement.output)


def plain(output: bytes) -> Any:
    import orjson

    return orjson.loads(output)


def call_soon(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    """On that loop, from whichever thread."""
    if loop is asyncio._get_running_loop():
        work()
    else:
        loop.call_soon_threadsafe(work)
