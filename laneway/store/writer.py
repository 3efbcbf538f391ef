"""One thread that writes. Whatever has gathered while the last commit ran goes into the next one, together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from laneway.errors import StoreError

T = TypeVar("T")
Tx = TypeVar("Tx")
MAX_GROUP = 512  # operations in one commit


class GoneError(StoreError):
    """The store was away for as long as there was patience. A commit that was under way then may have been done."""


class Writer(Generic[Tx]):
    """Runs operations in grouped transactions, on its own thread or (``inline``) on the caller's."""

    def __init__(self, run_all: Callable[[Sequence[Callable[[Tx], Any]]], list[Any]], *, inline: bool = False) -> None:
        """``run_all``: runs operations in one transaction and returns their results after its commit."""
        self._run_all = run_all
        self._inline = inline
        self._waiting: SimpleQueue[tuple[Callable[[Tx], Any], Future[Any]] | None] = SimpleQueue()  # None: close
        self._lock = threading.Lock()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.commits = 0
        if not inline:
            self._thread = threading.Thread(target=self._run, name="laneway-writer", daemon=True)
            self._thread.start()

    def write(self, operation: Callable[[Tx], T]) -> asyncio.Future[T]:
        """Have the operation run, from now on; await its result, which is there after its commit."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        if self._inline:
            try:
                waiter.set_result(self.write_now(operation))
            except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for the operation
                waiter.set_exception(error)
        else:
            self._enqueue(operation, _LoopFuture(loop, waiter))
        return waiter

    def write_now(self, operation: Callable[[Tx], T]) -> T:
        """The same, blocking; safe from any thread."""
        if self._inline:
            (result,) = self._run_all([operation])
            self.commits += 1
            return result  # type: ignore[no-any-return]
        future: Future[T] = Future()
        self._enqueue(operation, future)
        return future.result()

    def close(self) -> None:
        """After what was asked for is written."""
        if self._thread is not None:
            with self._lock:
                self._closing = True
                self._waiting.put(None)
            self._thread.join()

    def _enqueue(self, operation: Callable[[Tx], Any], future: Future[Any]) -> None:
        with self._lock:  # nothing comes after the None
            if self._closing:
                raise StoreError("the store is closed")
            self._waiting.put((operation, future))

    def _run(self) -> None:
        last: tuple[Callable[[Tx], Any], Future[Any]] | None
        while last := self._waiting.get():
            group = [last]
            with suppress(Empty):
                while len(group) < MAX_GROUP and (last := self._waiting.get_nowait()):
                    group.append(last)
            self._commit(group)
            if last is None:
                return

    def _commit(self, group: list[tuple[Callable[[Tx], Any], Future[Any]]]) -> None:
        """All in one transaction; if that fails, each in its own, so that one's fault is not its neighbours'."""
        try:
            results = self._run_all([operation for operation, _ in group])
        except GoneError as error:  # for each of them once more would need as much patience each
            for _, future in group:
                future.set_exception(error)
            return
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits for the operation
            if len(group) == 1:
                group[0][1].set_exception(error)
                return
            for member in group:
                self._commit([member])
            return
        self.commits += 1
        _LoopFuture.deliver([(future, result) for (_, future), result in zip(group, results, strict=True)])


class _LoopFuture(Future[Any]):
    """Hands a result over to an asyncio future; many at once with one wake-up of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[Any]) -> None:
        super().__init__()
        self._loop = loop
        self._waiter = waiter

    def set_exception(self, exception: BaseException | None) -> None:
        if exception is not None:
            with suppress(RuntimeError):  # as below
                self._loop.call_soon_threadsafe(_set_exception, self._waiter, exception)

    @staticmethod
    def deliver(pairs: list[tuple[Future[Any], Any]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for future, result in pairs:
            if isinstance(future, _LoopFuture):
                by_loop.setdefault(future._loop, []).append((future._waiter, result))
            else:
                future.set_result(result)
        for loop, waiting in by_loop.items():
            with suppress(RuntimeError):  # it was closed, and nobody waits there any more
                loop.call_soon_threadsafe(_set_all, waiting)


def _set_all(waiting: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for waiter, result in waiting:
        if not waiter.done():
            waiter.set_result(result)


def _set_exception(waiter: asyncio.Future[Any], exception: BaseException) -> None:
    if not waiter.done():
        waiter.set_exception(exception)
