"""The connections of a SQLite store, and how it reads and writes through them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from laneway.store.heads import Heads
from laneway.store.sqlite import reading
from laneway.store.sqlite.connection import connect, connect_first, sqlite_errors, warn_if_shared
from laneway.store.sqlite.heads import HeadSource
from laneway.store.sqlite.locks import LifeSigns
from laneway.store.sqlite.transaction import Transactions
from laneway.store.writer import Writer

T = TypeVar("T")


class Base:
    """Three connections: the writer's (its own thread), one for short reads of the event loop, one for long reads on a
    thread of their own. ``inline`` does everything on the caller's thread, for simulated time.
    """

    def __init__(self, path: Path, *, inline: bool = False) -> None:
        self.path = path
        with sqlite_errors(path):
            writing = connect_first(path)
            warn_if_shared(path)
            self._short = connect(path)
            self._long = self._short if inline else connect(path)
        self._writing = writing
        self._documents = reading.Documents(self._short)
        self._long_documents = reading.Documents(self._long)
        self._transactions = Transactions(writing, path)
        self._writer = Writer(self._transactions.run_all, inline=inline)
        self._life = LifeSigns(path.with_name(path.name + "-workers"))
        self._reader = None if inline else ThreadPoolExecutor(1, thread_name_prefix="laneway-reader")
        self._data_version = -1
        self._source = HeadSource(self._short)
        self._heads: dict[int | None, Heads] = {}
        self._reading = threading.Lock()  # several event loops may share a store, a connection serves one at a time

    @property
    def commits(self) -> int:
        """How many transactions were committed (many verbs share one)."""
        return self._writer.commits

    def forked(self) -> None:
        self._transactions.close()
        self._life.forked()

    async def close(self) -> None:
        self._writer.close()
        self._transactions.close()
        self._life.close()
        if self._reader is not None:
            self._reader.shutdown()
        for db in {self._short, self._long, self._writing}:
            db.close()

    def _read(self, query: Callable[[apsw.Connection], T]) -> T:
        with sqlite_errors(self.path), self._reading:
            return query(self._short)

    async def _read_long(self, query: Callable[[apsw.Connection], T]) -> T:
        def run() -> T:
            with sqlite_errors(self.path):
                return query(self._long)

        if self._reader is None:
            return run()
        return await asyncio.get_running_loop().run_in_executor(self._reader, run)
