"""Limits that nobody states, and no headers: how soon they are used, how much is refused, what follows a change."""

from __future__ import annotations

import argparse
import math
import signal
import subprocess
import time
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from benchmarks.common import command, environment, laneway, workplace, write_batch
from laneway.simulator.process import SimulatorProcess

FIND_S, JUDGED_S, AFTER_S = 20.0, 45.0, 45.0  # to find the limit; to be judged by; after a change
OUTAGE_S, BACK_S = 60.0, 20.0
SPAN_S = 5.0  # answers are counted over so long
NEEDED = 0.9
EVERY_S = 0.25
AT_ONCE = 2  # cases side by side, each with a simulator of its own
NEVER_S = 999.0  # in the JSON: not in the time that was looked at
MARGIN = 1.3  # tasks for so much more than the limits permit


@dataclass(frozen=True)
class Case:
    """``then``: the limits after half of the time; None: everything fails for a minute instead."""

    name: str
    latency: float
    spread: float
    limits: dict[str, float]
    then: dict[str, float] | None = field(default_factory=dict)

    def bound(self, limits: dict[str, float]) -> float:
        """Answers a second that these limits permit."""
        now = {**self.limits, **limits}
        mean = self.latency * math.exp(self.spread**2 / 2)
        return min(now.get("rpm", math.inf) / 60, now.get("concurrency", math.inf) / mean)

    @property
    def seconds(self) -> float:
        return FIND_S + JUDGED_S + (OUTAGE_S + BACK_S if self.then is None else AFTER_S)

    @property
    def tasks(self) -> int:
        stored = self.limits.get("rpm", 0.0) / 60 * self.limits.get("burst", 1.0)
        return int(self.bound({}) * self.seconds * MARGIN + stored) + 50


CASES = (
    Case("concurrency 5", 0.5, 0.3, {"concurrency": 5}, {"concurrency": 2}),
    Case("concurrency 25", 1.0, 0.0, {"concurrency": 25}, {"concurrency": 12}),
    Case("concurrency 50, spread", 0.5, 0.6, {"concurrency": 50}, {"concurrency": 25}),
    Case("concurrency 200", 2.0, 0.3, {"concurrency": 200}, {"concurrency": 100}),
    Case("600 a minute, burst 1", 0.5, 0.3, {"rpm": 600, "burst": 1}, {"rpm": 300}),
    Case("600 a minute, burst 60", 0.3, 0.3, {"rpm": 600, "burst": 60}, {"rpm": 300}),
    Case("1,200 a minute, burst 0.3", 2.0, 0.3, {"rpm": 1200, "burst": 0.3}, {"rpm": 600}),
    Case("6,000 a minute, burst 10", 1.0, 0.3, {"rpm": 6000, "burst": 10}, {"rpm": 3000}),
    Case("both", 1.0, 0.3, {"rpm": 1200, "concurrency": 15}, {"rpm": 600}),
    Case("an outage of a minute, rate", 0.5, 0.3, {"rpm": 600}, None),
    Case("an outage of a minute, concurrency", 0.5, 0.3, {"concurrency": 20}, None),
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", help="cases whose name begins so")


def run(repeat: int, only: str | None = None) -> dict[str, Any]:
    """Each case once: it lasts long enough. ``repeat`` is not looked at."""
    chosen = [case for case in CASES if case.name.startswith(only or "")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        cases = list(pool.map(_measure, chosen))
    changed = [case for case in cases if "outage" not in case["name"]]
    away = [case for case in cases if "outage" in case["name"]]
    return {
        "throughput_ratio": min(case["throughput_ratio"] for case in cases),
        "refused_share": max(case["refused_share"] for case in cases),
        "recover_s": max((case["recover_s"] for case in changed), default=None),
        "after_outage_s": max((case["recover_s"] for case in away), default=None),
        "burned": sum(case["burned"] for case in cases),
        "cases": cases,
    }


@dataclass
class Counts:
    """The simulator's own, while it runs."""

    at: list[float] = field(default_factory=list)
    completed: list[int] = field(default_factory=list)

    def rate(self, since: float, until: float) -> float:
        first, last = self._before(since), self._before(until)
        return (self.completed[last] - self.completed[first]) / max(1e-9, self.at[last] - self.at[first])

    def recovered(self, since: float, bound: float) -> float:
        """Seconds until answers come at what is needed for a whole span."""
        for at in self.at[self._before(since) :]:
            if at + SPAN_S > self.at[-1]:
                break  # it does not recover in the time
            if self.rate(at, at + SPAN_S) >= NEEDED * bound:
                return max(0.0, at - since)
        return NEVER_S

    def _before(self, at: float) -> int:
        return max(0, bisect_right(self.at, at) - 1)


def _measure(case: Case) -> dict[str, Any]:
    change_at = FIND_S + JUDGED_S
    with (
        workplace() as folder,
        SimulatorProcess(
            latency=case.latency, spread=case.spread, no_headers=True, output_tokens=20, **case.limits
        ) as simulator,
        _run(folder, simulator.url, case.tasks),
    ):
        while not simulator.stats()["requests"]:
            time.sleep(0.02)
        counts = Counts()
        _watch(simulator, counts, change_at, time.monotonic())
        back_at = change_at
        if case.then is None:
            simulator.control(error_rate=1)
            _watch(simulator, Counts(), OUTAGE_S, time.monotonic())
            before = simulator.stats()["rate_limited"]
            simulator.control(error_rate=0)
            back_at, start = change_at + OUTAGE_S, time.monotonic() - change_at - OUTAGE_S
        else:
            before = simulator.stats()["rate_limited"]
            simulator.control(**case.then)
            start = time.monotonic() - change_at
        _watch(simulator, counts, case.seconds, start)
        stats = simulator.stats()
        burned, changes = _burned(folder), _changes(folder, simulator.url)
    bound, after = case.bound({}), case.bound(case.then or {})
    return {
        "name": case.name,
        "latency_s": case.latency,
        "bound_per_s": round(bound, 2),
        "throughput_ratio": round(counts.rate(FIND_S, change_at) / bound, 4),
        "recover_s": round(counts.recovered(back_at, after), 2),
        "ratio_after": round(counts.rate(back_at + 15.0, case.seconds) / after, 4),
        "calls": stats["requests"],
        "rate_limited": stats["rate_limited"],
        "rate_limited_before": before,
        "refused_share": round(stats["rate_limited"] / stats["requests"], 5),
        "burned": burned,
        "changes": changes,
    }


@contextmanager
def _run(folder: Path, url: str, tasks: int) -> Iterator[None]:
    """The real command, interrupted at the end: there is more to do than time."""
    write_batch(folder / "tasks.jsonl", tasks)
    arguments = command("run", "tasks.jsonl", "--json")
    child = subprocess.Popen(
        arguments, cwd=folder, env=environment(url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
        if child.poll() is not None:
            raise RuntimeError(f"the run ended too early, with exit {child.returncode}")
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _watch(simulator: SimulatorProcess, counts: Counts, until: float, start: float) -> None:
    """Count for so long. Times are from ``start``, by this process's clock."""
    while (now := time.monotonic() - start) < until:
        counts.completed.append(simulator.stats()["completed"])
        counts.at.append(now)
        time.sleep(EVERY_S)


def _changes(folder: Path, url: str) -> list[str]:
    """What the engine concluded, as ``laneway status`` tells it."""
    (account,) = laneway(folder, url, "status")["accounts"].values()
    first = min((one["at"] for one in account["changes"]), default=0.0)
    return [f"{one['at'] - first:.1f} s: {one['limit']} {one['value']} ({one['reason']})" for one in account["changes"]]


def _burned(folder: Path) -> int:
    """Attempts of tasks that have not ended: each is a try that an outage or a refusal used up."""
    db = apsw.Connection(str(folder / ".laneway" / "laneway.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        query = "SELECT coalesce(sum(attempts), 0) FROM task WHERE state IN ('ready', 'waiting')"
        return int(next(iter(db.execute(query)))[0])
    finally:
        db.close()
