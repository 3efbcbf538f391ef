"""``lw.sync``: the same API, blocking. One event loop on a thread of its own serves all callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from laneway.app.jobs import Job
from laneway.app.outbox.callers import recognise
from laneway.errors import UsageError
from laneway.task import Task

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.working import Working

T = TypeVar("T")


class SyncJob(Generic[T]):
    def __init__(self, job: Job[T], sync: Sync) -> None:
        self._job = job
        self._sync = sync
        self.key = job.key

    @property
    def id(self) -> int:
        return self._job.id

    def result(self, timeout: float | None = None) -> T:
        """As ``Job.result``, blocking. ``timeout`` in seconds."""
        return self._sync.run(self._job.result(timeout))

    def status(self) -> Task:
        return self._sync.run(self._job.status())


class Sync:
    """Safe from any thread but the event loop's own."""

    def __init__(self, lw: Laneway) -> None:
        self._lw = lw
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._worker: AbstractAsyncContextManager[Working] | None = None

    def run(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
        """Run a coroutine of the API to its end."""
        running = asyncio._get_running_loop()
        if running is not None and running in (self._loop, self._lw.loop):
            work.close()
            raise UsageError(
                "lw.sync was used on the worker's event loop, which it would stop",
                hint="await lw.submit(…) there; lw.sync is for threads",
            )
        return asyncio.run_coroutine_threadsafe(work, loop or self._own_loop()).result()

    def submit(self, task: Any, *args: Any, **options: Any) -> SyncJob[Any]:
        """As ``Laneway.submit``, blocking. A ``connection`` is used on the calling thread."""
        connection = options.pop("connection", None)
        if connection is None:
            return SyncJob(self.run(self._lw.submit(task, *args, **options)), self)
        letters = self.run(self._lw.within.of_call(recognise(connection), task, args, options))
        return SyncJob(letters.post()[0], self)

    def submit_many(self, task: Any, items: Iterable[Any], **options: Any) -> list[SyncJob[Any]]:
        """As ``Laneway.submit_many``, blocking."""
        connection = options.pop("connection", None)
        if connection is None:
            return [SyncJob(job, self) for job in self.run(self._lw.submit_many(task, items, **options))]
        letters = self.run(self._lw.within.of_items(recognise(connection), task, items, options))
        return [SyncJob(job, self) for job in letters.post()]

    def job(self, ref: int | str) -> SyncJob[Any]:
        """As ``Laneway.job``, blocking."""
        return SyncJob(self.run(self._lw.job(ref)), self)

    def feedback(self, task: Any, word: str, **options: Any) -> None:
        """As ``Laneway.feedback``, blocking."""
        self.run(self._lw.feedback(task.id if isinstance(task, SyncJob) else task, word, **options))

    def call(self, model: str, messages: Any, **options: Any) -> Any:
        """As ``Laneway.call``, for sync tasks."""
        from laneway.app.python.tasks import CURRENT

        context = CURRENT.get()

        async def with_context() -> Any:
            token = CURRENT.set(context)
            try:
                return await self._lw.call(model, messages, **options)
            finally:
                CURRENT.reset(token)

        return self.run(with_context(), self._lw.loop)  # calls are admitted on the worker's own loop

    def map(self, task: Any, items: Iterable[Any], **options: Any) -> Iterator[Any]:
        """As ``Laneway.map``, blocking: yields results in the items' order."""
        results = self._lw.map(task, items, **options)
        while True:
            try:
                yield self.run(_next(results))
            except StopAsyncIteration:
                return

    @contextmanager
    def worker(self, *, lanes: Collection[str] | None = None, grace: float | str | None = None) -> Iterator[None]:
        """As ``Laneway.worker``: work in the background for the length of the block."""
        worker = self._lw.worker(lanes=lanes, grace=grace)
        self.run(worker.__aenter__())
        try:
            yield
        finally:
            self.run(_leave(worker))

    def start_worker(self) -> None:
        """Work in the background of this process until ``close``, as a notebook or a small web application wants it.
        Once is enough; again does nothing."""
        with self._starting:
            known, self._worker = self._worker, self._worker or self._lw.worker()
        if known is None:
            try:
                self.run(self._worker.__aenter__())
            except BaseException:
                self._worker = None
                raise

    def forked(self) -> None:
        """In a forked child: loop and thread are the parent's."""
        self._loop = self._thread = self._worker = None
        self._starting = threading.Lock()

    def close(self) -> None:
        """End a worker that was started, close the store and end the background loop."""
        if self._worker is not None:
            self.run(_leave(self._worker))
            self._worker = None
        self.run(self._lw.close())
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="laneway-loop", daemon=True)
                self._thread.start()
            return self._loop


async def _next(results: Any) -> Any:
    return await results.__anext__()


async def _leave(worker: Any) -> None:
    await worker.__aexit__(None, None, None)
