"""1 to 50 tasks of 0.3 s: our whole command at 20 slots beside loops on the openai SDK and on the standard library."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.common import command, environment, workplace, write_batch
from laneway.simulator.process import SimulatorProcess

SIZES = (1, 2, 3, 4, 5, 10, 20, 50)
LATENCY_S, SLOTS = 0.3, 20
LOOPS = {"sdk": "loop_sdk.py", "stdlib": "loop_stdlib.py"}

Walls = dict[str, dict[int, list[float]]]  # who: number of tasks: seconds of the whole process


def run(repeat: int) -> dict[str, Any]:
    missing = peers.missing()
    who = ["ours", *(name for name in LOOPS if name == "stdlib" or missing is None)]
    walls: Walls = {one: {n: [] for n in SIZES} for one in who}
    with SimulatorProcess(latency=LATENCY_S, output_tokens=20) as simulator:
        for one in who:
            _wall(one, 1, simulator.url)  # files into the cache
        for _ in range(repeat):
            for n in SIZES:  # one after another on the same size, so that all have the same machine
                for one in who:
                    walls[one][n].append(_wall(one, n, simulator.url))
    medians = {one: {n: statistics.median(taken) for n, taken in sizes.items()} for one, sizes in walls.items()}
    return {
        **{f"tasks_{one}": faster_from(medians["ours"], medians[one]) if one in medians else None for one in LOOPS},
        **{f"tasks_{one}_worst": faster_from(_slowest(walls["ours"]), medians[one]) for one in who[1:]},
        "startup_s": _startup(medians["ours"]),
        **{f"startup_{one}_s": _startup(medians[one]) for one in who[1:]},
        "slots": SLOTS,
        "latency_s": LATENCY_S,
        "wall_s": {one: {str(n): round(wall, 3) for n, wall in sizes.items()} for one, sizes in medians.items()},
        "wall_all": {one: {str(n): [round(wall, 3) for wall in taken] for n, taken in sizes.items()}
                     for one, sizes in walls.items()},
        "peers": {"versions": peers.versions() if missing is None else None, "missing": missing},
    }  # fmt: skip


def faster_from(ours: Mapping[int, float], theirs: Mapping[int, float]) -> int | None:
    """The smallest number of tasks from which on ours takes less time at every size, None when there is none."""
    first = None
    for n in sorted(ours, reverse=True):
        if ours[n] >= theirs[n]:
            break
        first = n
    return first


def _slowest(walls: Mapping[int, Sequence[float]]) -> dict[int, float]:
    return {n: max(taken) for n, taken in walls.items()}


def _startup(medians: Mapping[int, float]) -> float:
    """What the process takes beyond its one call."""
    return round(medians[1] - LATENCY_S, 3)


def _wall(who: str, n: int, url: str) -> float:
    """One whole process in a folder without a store, from its start to its exit. Raises when a result is missing."""
    with workplace() as folder:
        write_batch(folder / "tasks.jsonl", n)
        began = time.perf_counter()
        done = subprocess.run(
            _command(who), cwd=folder, env=environment(url), capture_output=True, text=True, check=False
        )
        wall = time.perf_counter() - began
        results = folder / "results.jsonl"
        written = len(results.read_bytes().splitlines()) if results.exists() else 0
        if done.returncode or written != n:
            raise RuntimeError(f"{who}: exit {done.returncode}, {written} of {n} results: {done.stderr[-2000:]}")
        return wall


def _command(who: str) -> list[str | Path]:
    if who == "ours":
        return [*command("run", "tasks.jsonl", "-o", "results.jsonl", "--concurrency", str(SLOTS))]
    python = peers.python() if who == "sdk" else sys.executable
    return [python, peers.HERE / LOOPS[who], "tasks.jsonl", "results.jsonl"]
