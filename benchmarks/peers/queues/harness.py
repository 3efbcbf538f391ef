"""How a queue is measured: the same for all, and the same as ours in ``benchmarks.queue_app``.

A peer says how to submit, how many results are stored, and starts its server and workers as children of this process,
so that the CPU time of them all can be told. Results are kept by each, as ours are.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.postgres import NoPostgres, PostgresServer
from benchmarks.processes import tree_cpu_s

SINGLES, WARM, PROBES = 200, 300, 60
TARGET_S, LEAST, MOST = 6.0, 500, 30_000  # how long the measured part should take about, and its number of tasks
POLL_S, PATIENCE_S = 0.02, 120.0


class CannotRun(Exception):
    """What is missing, in words."""


class Peer(ABC):
    about: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []
        self.server: PostgresServer | None = None

    @abstractmethod
    def connect(self) -> None:
        """Start what servers there are, make the client."""

    @abstractmethod
    def work(self) -> None:
        """Start the workers."""

    @abstractmethod
    def submit(self, n: int) -> object:
        """One task."""

    def submit_many(self, n: int) -> None:
        """``n`` tasks in the quickest way that it documents."""
        for i in range(n):
            self.submit(i)

    @abstractmethod
    def stored(self) -> int:
        """How many tasks have ended and have their results stored."""

    @abstractmethod
    def began(self) -> float:
        """Submit a task that returns ``time.monotonic()`` and wait for it."""

    def close(self) -> None:
        """Let go of whatever the peer itself holds."""
        return

    def child(self, *command: str | Path, **options: Any) -> None:
        """A server or worker. Its words go to a file, and are told when it fails."""
        log = (self.folder / f"child-{len(self.children)}.log").open("wb")
        words = [str(part) for part in command]
        self.children.append(subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options))

    def python(self, *arguments: str) -> None:
        """A command of the peers' environment, in this folder of benchmarks."""
        self.child(sys.executable, *arguments)

    def run(self, *arguments: str) -> None:
        """The same, until it ends."""
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    def redis(self) -> str:
        """A Redis server with its own defaults (snapshots, no append-only file). Its address."""
        server = shutil.which("redis-server") or shutil.which("valkey-server")
        if server is None:
            raise CannotRun("redis-server was not found (Debian and Ubuntu: apt-get install redis-server)")
        port = free_port()
        self.child(server, "--port", str(port), "--bind", "127.0.0.1", "--dir", self.folder)
        _until(lambda: _listens(port), "redis-server did not start")
        return f"redis://127.0.0.1:{port}"

    def postgres(self) -> dict[str, str]:
        """A PostgreSQL server with its own defaults (each commit waits for the disk). The environment to reach it."""
        try:
            self.server = PostgresServer().__enter__()
        except NoPostgres as error:
            raise CannotRun(str(error)) from error
        return dict(self.server.environment)

    def stop(self) -> None:
        self.close()
        for child in reversed(self.children):
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self.server is not None:
            self.server.close()


def measure(peer: Peer) -> dict[str, float]:
    """As ``benchmarks.queue`` measures ours."""
    peer.connect()
    began = time.perf_counter()
    for i in range(SINGLES):
        peer.submit(i)
    singles = SINGLES / (time.perf_counter() - began)
    peer.submit_many(WARM)
    peer.work()
    _wait(peer, 1)
    warm_from = time.perf_counter()
    _wait(peer, SINGLES + WARM)
    guess = (SINGLES + WARM) / max(0.05, time.perf_counter() - warm_from)
    tasks = round(min(MOST, max(LEAST, TARGET_S * guess)))
    time.sleep(1.0)
    began, cpu, before = time.perf_counter(), tree_cpu_s(os.getpid()), peer.stored()
    peer.submit_many(tasks)
    submitted = time.perf_counter() - began
    _wait(peer, before + tasks)
    seconds, used = time.perf_counter() - began, tree_cpu_s(os.getpid()) - cpu
    time.sleep(1.0)
    starts = _starts(peer)
    return {
        "tasks": tasks,
        "tasks_per_s": round(tasks / seconds),
        "cpu_s_per_1000": round(1000 * used / tasks, 4),
        "enqueue_one_by_one_per_s": round(singles),
        "enqueue_bulk_per_s": round(tasks / submitted),
        "latency_p50_ms": round(statistics.median(starts), 3),
        "latency_p95_ms": round(starts[int(0.95 * len(starts))], 3),
    }


def _starts(peer: Peer) -> Sequence[float]:
    """Milliseconds from before the submit to the task's first line, in order."""
    rng, starts = random.Random(0), []
    for i in range(PROBES + 5):
        time.sleep(rng.uniform(0.02, 0.06))
        submitted = time.monotonic()
        start = peer.began()
        if i >= 5:
            starts.append(1000 * (start - submitted))
    return sorted(starts)


def _wait(peer: Peer, results: int) -> None:
    _until(lambda: peer.stored() >= results, f"{results} results were not there in time", peer.children)


def _until(true: Callable[[], bool], words: str, children: Sequence[subprocess.Popen[bytes]] = ()) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > give_up:
            raise CannotRun(words)
        for child in children:
            if child.poll() is not None:
                raise CannotRun(f"{child.args!r} ended with {child.returncode}")
        time.sleep(POLL_S)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def main(make: type[Peer]) -> None:
    """Run it in a folder of its own; one object: the figures, or why it could not run."""
    with tempfile.TemporaryDirectory(prefix="laneway-peer-") as folder:
        peer = make(Path(folder))
        try:
            said: dict[str, object] = {"about": make.about, **measure(peer)}
        except CannotRun as error:
            sys.stderr.write(
                "".join(log.read_text(errors="replace")[-1000:] for log in Path(folder).glob("child-*.log"))
            )
            said = {"about": make.about, "skipped": str(error)}
        finally:
            peer.stop()
    print(json.dumps(said))
