"""DBOS on SQLite: a queue of async workflows in the application's own process, as
https://docs.dbos.dev/python/tutorials/queue-tutorial shows it, with its defaults (a look at the queue each second)."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Coroutine
from typing import Any

from dbos import DBOS

from benchmarks.peers.queues.harness import Peer

AT_ONCE = 64


async def _nothing(n: int) -> int:
    return n


async def _now() -> float:
    return time.monotonic()


class OnDBOS(Peer):
    about = "DBOS on SQLite, a queue of workflows in one process"

    def connect(self) -> None:
        self.file = self.folder / "dbos.db"
        DBOS(config={"name": "peer", "system_database_url": f"sqlite:///{self.file}", "log_level": "ERROR"})
        self.nothing: Any = DBOS.workflow(name="nothing")(_nothing)
        self.now: Any = DBOS.workflow(name="now")(_now)
        DBOS.launch()
        self.books = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)
        DBOS.register_queue("peer", worker_concurrency=200)
        self.loop = asyncio.new_event_loop()

    def work(self) -> None:
        """It works from its launch on."""

    def submit(self, n: int) -> object:
        return self._do(DBOS.enqueue_workflow_async("peer", self.nothing, n))

    def submit_many(self, n: int) -> None:
        self._do(self._many(n))

    async def _many(self, n: int) -> None:
        left = iter(range(n))

        async def some() -> None:
            for i in left:
                await DBOS.enqueue_workflow_async("peer", self.nothing, i)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    def stored(self) -> int:
        row = self.books.execute("SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'").fetchone()
        return int(row[0])

    def began(self) -> float:
        async def ask() -> float:
            handle = await DBOS.enqueue_workflow_async("peer", self.now)
            return float(await handle.get_result(polling_interval_sec=0.01))

        return float(self._do(ask()))

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        DBOS.destroy()
