"""Celery on Redis, both broker and results: its "Using Redis" page
(https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html); one prefork child
a CPU, its default; a prefetch of 64 for each, as its guide to optimizing has it for many short tasks.
"""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery
from redis import Redis

from benchmarks.peers.queues.harness import Peer

APP = "benchmarks.peers.queues.on_celery"
app = Celery("peer", broker=os.environ.get("PEER_BROKER"), backend=os.environ.get("PEER_RESULTS"))
app.conf.worker_prefetch_multiplier = 64


def _nothing(n: int) -> int:
    return n


def _now() -> float:
    return time.monotonic()


nothing: Any = app.task(_nothing, name="nothing")
now: Any = app.task(_now, name="now")


class OnCelery(Peer):
    about = "Celery on Redis (broker and results), prefork with a child for each CPU"

    def connect(self) -> None:
        url = self.redis()
        broker, results = f"{url}/0", f"{url}/1"
        os.environ.update(PEER_BROKER=broker, PEER_RESULTS=results)  # for its workers
        app.conf.update(broker_url=broker, result_backend=results)
        self.results = Redis.from_url(results)

    def work(self) -> None:
        self.python("-m", "celery", "-A", APP, "worker", "--loglevel", "WARNING")

    def submit(self, n: int) -> object:
        return nothing.delay(n)

    def stored(self) -> int:
        return int(self.results.dbsize())

    def began(self) -> float:
        return float(now.delay().get(timeout=30))
