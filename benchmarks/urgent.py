"""200 urgent tasks among 50,000 relaxed ones on a saturated account: how long until their call, against the ideal."""

from __future__ import annotations

import json
import math
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from benchmarks.common import command, environment, laneway, workplace
from benchmarks.ideal import Work, ideal
from laneway.simulator.options import Options
from laneway.simulator.process import SimulatorProcess

BULK, URGENT = 50_000, 200
CALM_S, OVER_S, AFTER_S = 20.0, 40.0, 3.0  # bulk alone, the urgent tasks' arrival, and the last one's turn
LATENCY_S, SPREAD = 0.5, 0.4
ALLOWED_S = 0.030  # beyond 1.1 times the ideal's p99
CASES: dict[str, dict[str, int]] = {"concurrency": {"concurrency": 20}, "requests_per_minute": {"rpm": 1800}}
CONFIG = """
[accounts.main]
provider = "openai"
base_url = "{url}"
{limit}
[models.small]
account = "main"
id = "gpt-4o-mini"
[types.ask]
prompt = "ask.j2"
max_output_tokens = 20
[defaults]
model = "small"
"""
# A call's start by its end: the time in the ledger is that of the claim, before its commit and the sending.
CALLS = """
    SELECT r.settled_at - a.latency AS called_at, p.submitted_at, c.urgency FROM result r
    JOIN attempt a ON a.task_id = r.task_id JOIN task t ON t.id = a.task_id
    JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    ORDER BY called_at
"""


@dataclass(frozen=True, slots=True)
class Call:
    """Seconds from the first call's start."""

    at: float
    submitted: float
    urgent: bool


def run(repeat: int) -> dict[str, Any]:
    with workplace() as folder:
        filled = _fill(folder)
        cases: dict[str, dict[str, Any]] = {}
        for name, limit in CASES.items():
            runs = [_once(folder, filled, name, limit, seed) for seed in range(1, repeat + 1)]
            cases[name] = {key: statistics.median(one[key] for one in runs) for key in runs[0]} | {"runs": runs}
    worst = max(cases.values(), key=lambda case: case["over_bar"])
    return {
        "p99_ratio": worst["p99_ratio"],
        "p99_s": worst["p99_s"],
        "ideal_p99_s": worst["ideal_p99_s"],
        "over_bar": worst["over_bar"],
        "bar": f"p99 - (1.1 * ideal + {ALLOWED_S} s), at most 0",
        "bulk_share_lost": max(case["bulk_share_lost"] for case in cases.values()),
        "queued": BULK,
        "overdue": BULK // 2,
        "cases": cases,
    }


def _fill(folder: Path) -> Path:
    """A store with the relaxed tasks, half of them past their target: they were given one of a second."""
    place = folder / "filled"
    place.mkdir()
    _configure(place, "http://127.0.0.1:9/v1", "")
    for name, wait in (("late", "1s"), ("early", "4h")):
        rows = (json.dumps({"id": f"{name}{i}", "text": f"{name} {i}"}) for i in range(BULK // 2))
        (place / f"{name}.jsonl").write_text("\n".join(rows))
        env = {"LANEWAY_URGENCY__RELAXED__TARGET_WAIT": wait}
        laneway(place, "", "submit", "ask", "--file", f"{name}.jsonl", "--urgency", "relaxed", env=env)
    return place


def _configure(place: Path, url: str, limit: str) -> None:
    (place / "laneway.toml").write_text(CONFIG.format(url=url, limit=limit))
    (place / "ask.j2").write_text("{{ text }}")


def _once(folder: Path, filled: Path, name: str, limit: dict[str, int], seed: int) -> dict[str, float]:
    place = folder / f"{name}{seed}"
    shutil.copytree(filled, place)
    options: dict[str, Any] = {**limit, "latency": LATENCY_S, "spread": SPREAD, "output_tokens": 20, "seed": seed}
    with SimulatorProcess(**options) as simulator:
        (amount,) = limit.values()
        _configure(place, simulator.url, f"{name} = {amount}")
        worker = subprocess.Popen(command("worker"), cwd=place, env=environment(simulator.url))
        try:
            time.sleep(CALM_S + 2.0)
            arrivals = [sys.executable, "-m", "benchmarks.arrivals", str(place), str(URGENT), str(OVER_S), str(seed)]
            subprocess.run(arrivals, env=environment(simulator.url), check=True)
            time.sleep(AFTER_S)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)
        stats = simulator.stats()
    calls = _calls(place / ".laneway" / "laneway.db")
    shutil.rmtree(place)
    return _told(calls, Options(**options)) | {"rate_limited": stats["rate_limited"]}


def _calls(store: Path) -> list[Call]:
    db = apsw.Connection(str(store))
    rows = list(db.execute(CALLS))
    db.close()
    began = rows[0][0]
    return [Call(at - began, submitted - began, urgency == 1) for at, submitted, urgency in rows]


def _told(calls: list[Call], options: Options) -> dict[str, float]:
    """Ours and the ideal's on the same arrivals, where the n-th call takes as long as our n-th did."""
    urgent = [call for call in calls if call.urgent]
    if len(urgent) != URGENT:
        raise RuntimeError(f"{len(urgent)} urgent calls instead of {URGENT}")
    bulk = [Work(("main",), rank=1)] * math.ceil(1.2 * len(calls))
    work = [*(Work(("main",), arrival=call.submitted) for call in urgent), *bulk]
    best = ideal(work, {"main": options})
    waits = [call.at - call.submitted for call in urgent]
    best_waits = [start.at - task.arrival for task, start in zip(work[:URGENT], best.starts[:URGENT], strict=True)]
    first, last = min(call.submitted for call in urgent), max(call.submitted for call in urgent)
    ours = [call.at for call in calls if not call.urgent]
    theirs = [start.at for start in best.starts[URGENT:]]
    before = _lost(ours, theirs, first - CALM_S, first)
    during = _lost(ours, theirs, first, last)
    p99, best_p99 = _p99(waits), _p99(best_waits)
    return {
        "p99_s": round(p99, 4),
        "ideal_p99_s": round(best_p99, 4),
        "p99_ratio": round(p99 / best_p99, 3),
        "over_bar": round(p99 - 1.1 * best_p99 - ALLOWED_S, 4),
        "p50_s": round(statistics.median(waits), 4),
        "ideal_p50_s": round(statistics.median(best_waits), 4),
        "bulk_share_lost": round(during - before, 4),
        "bulk_behind_ideal": round(during, 4),
        "bulk_behind_ideal_alone": round(before, 4),
        "bulk_calls_a_s": round(sum(first <= at < last for at in ours) / (last - first), 2),
    }


def _lost(ours: list[float], theirs: list[float], begin: float, end: float) -> float:
    """By which share fewer bulk calls began than with the ideal dispatcher, which gives the urgent ones theirs too."""
    mine = sum(begin <= at < end for at in ours)
    best = sum(begin <= at < end for at in theirs)
    return 1.0 - mine / best


def _p99(values: list[float]) -> float:
    """Nearest rank."""
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]
