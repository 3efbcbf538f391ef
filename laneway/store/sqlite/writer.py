"""One thread that writes. Whatever has gathered while the last commit ran goes into the next one, together."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import apsw

from laneway.errors import StoreError
from laneway.store.sqlite.connection import scalar, sqlite_errors
from laneway.store.sqlite.locks import FileLock
from laneway.store.sqlite.spending import Books
from laneway.task import State

T = TypeVar("T")
MAX_GROUP = 512  # operations in one commit


class Transaction:
    """What an operation writes through: the connection, and counters that are flushed once a commit."""

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db
        self._moves: Counter[tuple[int, State]] = Counter()
        self._seq: int | None = None
        self.books = Books(db)

    def count(self, cell_id: int, state: State, n: int) -> None:
        """``n`` more tasks of the cell are in ``state`` (negative: fewer)."""
        self._moves[cell_id, state] += n

    def move(self, cell_id: int, old: State, new: State, n: int = 1) -> None:
        self._moves[cell_id, old] -= n
        self._moves[cell_id, new] += n

    def next_seq(self) -> int:
        """The next number in the order of results."""
        if self._seq is None:
            self._seq = int(scalar(self.db, "SELECT value FROM sequence WHERE name = 'result'"))
        self._seq += 1
        return self._seq

    def last_seq(self) -> int:
        if self._seq is not None:
            return self._seq
        return int(scalar(self.db, "SELECT value FROM sequence WHERE name = 'result'"))

    def flush(self) -> None:
        """Write the counters. Called before the commit, and by operations that read them."""
        by_cell: dict[int, list[tuple[State, int]]] = {}
        for (cell_id, state), n in self._moves.items():
            if n or state is State.READY:  # others may be ready now: who keeps the cell's head has to read it again
                by_cell.setdefault(cell_id, []).append((state, n))
        for cell_id, changes in sorted(by_cell.items()):
            assignments = ", ".join(f"{state.value} = {state.value} + ?" for state, _ in changes)
            self.db.execute(f"UPDATE cell SET {assignments} WHERE id = ?", (*(n for _, n in changes), cell_id))
        self._moves.clear()
        if self._seq is not None:
            self.db.execute("UPDATE sequence SET value = ? WHERE name = 'result'", (self._seq,))
        self.books.flush()


Operation = Callable[[Transaction], Any]


class Writer:
    """Runs operations in grouped transactions, on its own thread or (``inline``) on the caller's."""

    def __init__(self, db: apsw.Connection, path: Path, *, inline: bool = False) -> None:
        self._db = db
        self._path = path
        self._turn = FileLock(path.with_name(path.name + "-turn"))
        self._inline = inline
        self._waiting: SimpleQueue[tuple[Operation, Future[Any]] | None] = SimpleQueue()  # None: close
        self._lock = threading.Lock()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.commits = 0
        if not inline:
            self._thread = threading.Thread(target=self._run, name="laneway-writer", daemon=True)
            self._thread.start()

    async def write(self, operation: Callable[[Transaction], T]) -> T:
        """Run the operation and return after its commit."""
        if self._inline:
            return self.write_now(operation)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        self._enqueue(operation, _LoopFuture(loop, waiter))
        return await waiter

    def write_now(self, operation: Callable[[Transaction], T]) -> T:
        """The same, blocking; safe from any thread."""
        if self._inline:
            with sqlite_errors(self._path), self._transaction() as tx:
                return operation(tx)
        future: Future[T] = Future()
        self._enqueue(operation, future)
        return future.result()

    def forked(self) -> None:
        """In a forked child: else the parent's turn would be held after its death."""
        self._turn.close()

    def close(self) -> None:
        if self._thread is not None:
            with self._lock:
                self._closing = True
                self._waiting.put(None)
            self._thread.join()
        self._turn.close()

    def _enqueue(self, operation: Operation, future: Future[Any]) -> None:
        with self._lock:  # nothing comes after the None
            if self._closing:
                raise StoreError("the store is closed")
            self._waiting.put((operation, future))

    def _run(self) -> None:
        last: tuple[Operation, Future[Any]] | None
        while last := self._waiting.get():
            group = [last]
            with suppress(Empty):
                while len(group) < MAX_GROUP and (last := self._waiting.get_nowait()):
                    group.append(last)
            self._commit(group)
            if last is None:
                return

    def _commit(self, group: list[tuple[Operation, Future[Any]]]) -> None:
        """All in one transaction; if that fails, each in its own, so that one's fault is not its neighbours'."""
        try:
            with sqlite_errors(self._path), self._transaction() as tx:
                results = [operation(tx) for operation, _ in group]
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits for the operation
            if len(group) == 1:
                group[0][1].set_exception(error)
                return
            for member in group:
                self._commit([member])
            return
        _LoopFuture.deliver([(future, result) for (_, future), result in zip(group, results, strict=True)])

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._turn.held():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                tx = Transaction(self._db)
                yield tx
                tx.flush()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        self.commits += 1


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
