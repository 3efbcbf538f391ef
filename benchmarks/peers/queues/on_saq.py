"""SAQ on Redis with hiredis: ``saq module.settings`` as its README starts it, ten jobs at once, its default. Submitted
by 64 coroutines, since it has no call for many."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from saq import Queue

from benchmarks.peers.queues.harness import Peer

AT_ONCE = 64  # submits in flight


async def nothing(ctx: Any, *, n: int) -> int:
    return n


async def now(ctx: Any) -> float:
    return time.monotonic()


class OnSAQ(Peer):
    about = "SAQ on Redis, one worker process with ten jobs at once"

    def connect(self) -> None:
        os.environ["PEER_REDIS"] = url = self.redis()  # for its worker
        self.loop = asyncio.new_event_loop()
        self.queue = Queue.from_url(url)
        self.loop.run_until_complete(self.queue.connect())
        self.submitted = 0

    def work(self) -> None:
        self.python("-m", "saq", "benchmarks.peers.queues.on_saq.settings")

    def submit(self, n: int) -> object:
        self.submitted += 1
        return self.loop.run_until_complete(self.queue.enqueue("nothing", n=n))

    def submit_many(self, n: int) -> None:
        self.submitted += n
        self.loop.run_until_complete(self._many(n))

    async def _many(self, n: int) -> None:
        left = iter(range(n))

        async def some() -> None:
            for i in left:
                await self.queue.enqueue("nothing", n=i)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    def stored(self) -> int:
        return self.submitted - int(self.loop.run_until_complete(self.queue.count("incomplete")))

    def began(self) -> float:
        return float(self.loop.run_until_complete(self.queue.apply("now", timeout=30)))

    def close(self) -> None:
        self.loop.run_until_complete(self.queue.disconnect())


if "PEER_REDIS" in os.environ:
    settings = {"queue": Queue.from_url(os.environ["PEER_REDIS"]), "functions": [nothing, now]}
