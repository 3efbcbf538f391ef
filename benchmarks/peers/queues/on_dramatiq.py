"""Dramatiq on Redis with results, as https://dramatiq.io/guide.html and its page on results show; a process for each
CPU with eight threads, its default."""

from __future__ import annotations

import os
import time
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from redis import Redis

from benchmarks.peers.queues.harness import Peer

MODULE = "benchmarks.peers.queues.on_dramatiq"


def _nothing(n: int) -> int:
    return n


def _now() -> float:
    return time.monotonic()


def actors(url: str) -> tuple[Any, Any]:
    broker = RedisBroker(url=f"{url}/0")
    broker.add_middleware(Results(backend=RedisBackend(url=f"{url}/1")))
    dramatiq.set_broker(broker)
    return (
        dramatiq.actor(_nothing, actor_name="nothing", store_results=True),
        dramatiq.actor(_now, actor_name="now", store_results=True),
    )


class OnDramatiq(Peer):
    about = "Dramatiq on Redis (broker and results), a process of eight threads for each CPU"

    def connect(self) -> None:
        url = self.redis()
        os.environ["PEER_REDIS"] = url  # for its workers
        self.nothing, self.now = actors(url)
        self.results = Redis.from_url(f"{url}/1")

    def work(self) -> None:
        self.python("-m", "dramatiq", MODULE)

    def submit(self, n: int) -> object:
        return self.nothing.send(n)

    def stored(self) -> int:
        return int(self.results.dbsize())

    def began(self) -> float:
        return float(self.now.send().get_result(block=True, timeout=30_000))

    def close(self) -> None:
        dramatiq.get_broker().close()


if "PEER_REDIS" in os.environ:
    actors(os.environ["PEER_REDIS"])
