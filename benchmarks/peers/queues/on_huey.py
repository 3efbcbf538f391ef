"""Huey on SQLite: ``SqliteHuey`` and ``huey_consumer`` as https://huey.readthedocs.io/en/latest/ has them, four worker
threads as its guide starts it, everything else by default (WAL, and ``synchronous`` as SQLite has it: FULL)."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from huey import SqliteHuey

from benchmarks.peers.queues.harness import Peer

MODULE = "benchmarks.peers.queues.on_huey"


def _nothing(n: int) -> int:
    return n


def _now() -> float:
    return time.monotonic()


def queue(file: str) -> tuple[Any, Any, Any]:
    made = SqliteHuey("peer", filename=file)
    return made, made.task(name="nothing")(_nothing), made.task(name="now")(_now)


class OnHuey(Peer):
    about = "Huey on SQLite, a consumer with four threads"

    def connect(self) -> None:
        os.environ["PEER_FILE"] = file = str(self.folder / "huey.db")  # for its consumer
        self.huey, self.nothing, self.now = queue(file)

    def work(self) -> None:
        consumer = Path(sys.executable).with_name("huey_consumer")
        self.python(str(consumer), f"{MODULE}.huey", "-w", "4", "-q")

    def submit(self, n: int) -> object:
        return self.nothing(n)

    def stored(self) -> int:
        return int(self.huey.result_count())

    def began(self) -> float:
        return float(self.now().get(blocking=True, timeout=30, backoff=1, max_delay=0.005))


if "PEER_FILE" in os.environ:
    huey = queue(os.environ["PEER_FILE"])[0]
