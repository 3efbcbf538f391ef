"""PgQueuer on PostgreSQL, as its README has a producer of many and a consumer. That takes a thousand jobs at a time
here; by default ten, which is seven times slower. It keeps no results, only that a job ended well: it does less than
the others, and ``best_peer`` leaves it out. (``pgq run`` fails with the Typer that it brings, hence the manager's own.)
"""

from __future__ import annotations

import asyncio
import os
import time

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.peers.queues.harness import Peer

BATCH = 1000
LEFT = "SELECT count(*) FROM pgqueuer"
STARTED = "DELETE FROM started RETURNING at"


async def consume() -> None:
    manager = PgQueuer.from_asyncpg_connection(await asyncpg.connect())
    connection = await asyncpg.connect()

    async def nothing(job: Job) -> None:
        return

    async def now(job: Job) -> None:
        await connection.execute("INSERT INTO started VALUES ($1)", time.monotonic())

    manager.entrypoint("nothing")(nothing)
    manager.entrypoint("now")(now)
    await manager.run(batch_size=BATCH)


class OnPgQueuer(Peer):
    about = "PgQueuer on PostgreSQL, one worker; it keeps no results"

    def connect(self) -> None:
        os.environ.update(self.postgres())
        self.run("-m", "pgqueuer", "install")
        self.loop, self.submitted = asyncio.new_event_loop(), 0
        self.loop.run_until_complete(self._connect())

    async def _connect(self) -> None:
        self.connection = await asyncpg.connect()
        await self.connection.execute("CREATE TABLE started (at double precision)")
        self.queries = Queries(AsyncpgDriver(self.connection))

    def work(self) -> None:
        self.python("-c", f"import asyncio; from {__name__} import consume; asyncio.run(consume())")

    def submit(self, n: int) -> object:
        self.submitted += 1
        return self.loop.run_until_complete(self.queries.enqueue("nothing", str(n).encode()))

    def submit_many(self, n: int) -> None:
        self.submitted += n
        for first in range(0, n, BATCH):
            size = min(BATCH, n - first)
            bodies: list[bytes | None] = [str(first + i).encode() for i in range(size)]
            self.loop.run_until_complete(self.queries.enqueue(["nothing"] * size, bodies, [0] * size))

    def stored(self) -> int:
        return self.submitted - int(self.loop.run_until_complete(self.connection.fetchval(LEFT)))

    def began(self) -> float:
        self.loop.run_until_complete(self.queries.enqueue("now", None))
        while (at := self.loop.run_until_complete(self.connection.fetchval(STARTED))) is None:
            time.sleep(0.002)
        return float(at)
