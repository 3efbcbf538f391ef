"""RQ: ``rq worker`` as its documentation starts it, a fork for each job; and with SimpleWorker, which its documentation
has for very short jobs that can be trusted (https://github.com/rq/rq/blob/master/docs/benchmark.md)."""

from __future__ import annotations

import time

from redis import Redis
from rq import Queue

from benchmarks.peers.queues.harness import Peer


def nothing(n: int) -> int:
    return n


def now() -> float:
    return time.monotonic()


class OnRQ(Peer):
    about = "RQ on Redis, its default worker"
    options: tuple[str, ...] = ()

    def connect(self) -> None:
        self.url = self.redis()
        self.queue = Queue(connection=Redis.from_url(self.url))

    def work(self) -> None:
        command = ("worker", "--url", self.url, "--quiet", *self.options)
        self.python("-c", "import sys; from rq.cli import main; sys.exit(main())", *command)

    def submit(self, n: int) -> object:
        return self.queue.enqueue(nothing, n)

    def submit_many(self, n: int) -> None:
        self.queue.enqueue_many([Queue.prepare_data(nothing, (i,)) for i in range(n)])

    def stored(self) -> int:
        return int(self.queue.finished_job_registry.get_job_count(cleanup=False))

    def began(self) -> float:
        job = self.queue.enqueue(now)
        while (result := job.latest_result()) is None:
            time.sleep(0.005)
        return float(result.return_value)


class OnSimpleRQ(OnRQ):
    about = "RQ on Redis, SimpleWorker: no fork, for very short jobs that can be trusted"
    options = ("--worker-class", "rq.SimpleWorker")
