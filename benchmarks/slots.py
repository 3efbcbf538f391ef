"""1,000 tasks of 0.3 s over 20 slots: how far from 15 s; 100 tasks of 0.2 s over 10 slots: the whole command's time."""

from __future__ import annotations

from typing import Any

from benchmarks.common import laneway, median, workplace, write_batch
from laneway.simulator.process import SimulatorProcess


def run(repeat: int) -> dict[str, Any]:
    with workplace() as folder:
        write_batch(folder / "large.jsonl", 1000)
        write_batch(folder / "small.jsonl", 100)
        with SimulatorProcess(latency=0.3, output_tokens=20) as simulator:
            seconds, all_seconds = median(
                lambda: float(
                    laneway(folder, simulator.url, "run", "large.jsonl", "--concurrency", "20", "--fresh")["seconds"]
                ),
                repeat,
            )
        with SimulatorProcess(latency=0.2, output_tokens=20) as simulator:
            wall, all_walls = median(
                lambda: float(
                    laneway(folder, simulator.url, "run", "small.jsonl", "--concurrency", "10", "--fresh")["wall_s"]
                ),
                repeat,
            )
    return {
        "seconds": seconds,
        "bound_s": 15.0,
        "ratio": round(seconds / 15.0, 4),
        "seconds_all": all_seconds,
        "small_wall_s": wall,
        "small_bound_s": 2.0,
        "small_wall_all": all_walls,
    }
