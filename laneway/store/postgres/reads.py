"""Reading, on threads and connections of its own: a server may be far away, and an event loop must not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg

from laneway.store.postgres.connection import RACES, Db, connect, store_error
from laneway.store.postgres.outage import Outage

T = TypeVar("T")
MOST_RACES = 20


class Reads:
    """One connection, made when it is first needed, and a thread that uses it."""

    def __init__(self, url: str, patience_s: float, name: str) -> None:
        self._url = url
        self._patience_s = patience_s
        self._db: Db | None = None
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"laneway-{name}")

    async def __call__(self, query: Callable[[Db], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.now, query)

    def now(self, query: Callable[[Db], T]) -> T:
        """The same, blocking; safe from any thread. What only reads may simply be asked again after an outage."""
        races, outage = 0, Outage(self._url, self._patience_s)
        with self._lock:
            while True:
                try:
                    if self._db is None or self._db.closed:
                        self._db = connect(self._url)
                    return query(self._db)
                except RACES as error:  # where the database isolates strictly by default
                    races += 1
                    if races >= MOST_RACES:
                        raise store_error(self._url, error) from error
                except psycopg.Error as error:
                    outage.wait(error)

    def close(self) -> None:
        self._pool.shutdown()
        if self._db is not None:
            self._db.close()
