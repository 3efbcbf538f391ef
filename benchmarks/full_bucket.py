"""A full bucket is used: 600 requests a minute in buckets of 60 s and of 1 s, 200 tasks of 0.2 s, 100 slots.

The engine is not told which it is; in half of the cases it knows the rate itself from headers only.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import laneway, median, workplace, write_batch
from laneway.simulator.process import SimulatorProcess

CONFIG = """
[accounts.main]
provider = "openai"
requests_per_minute = 600
concurrency = 100
[models.small]
account = "main"
id = "gpt-4o-mini"
"""
TASKS, LATENCY_S, RPM = 200, 0.2, 600
BOUND_S = {60: 2.0, 1: 1.05 * (TASKS / (RPM / 60) + LATENCY_S)}
REFUSED = {60: 0, 1: 2}


def run(repeat: int) -> dict[str, Any]:
    rows = [_case(told, burst, repeat) for told in ("config", "headers") for burst in BOUND_S]
    return {
        "worst_ratio": max(row["ratio"] for row in rows),
        "rate_limited": max(row["rate_limited"] for row in rows),
        "held": all(row["seconds"] <= row["bound_s"] and row["rate_limited"] <= row["may_be_refused"] for row in rows),
        "cases": rows,
    }


def _case(told: str, burst: int, repeat: int) -> dict[str, Any]:
    """``told``: whether the rate stands in the config, or is known from headers alone."""
    refused = []

    def once() -> float:
        with workplace() as folder:
            write_batch(folder / "tasks.jsonl", TASKS)
            options = ["--concurrency", "100"]
            if told == "config":
                (folder / "laneway.toml").write_text(CONFIG)
                options = ["--model", "small"]
            with SimulatorProcess(latency=LATENCY_S, rpm=RPM, burst=burst, output_tokens=20) as simulator:
                said = laneway(folder, simulator.url, "run", "tasks.jsonl", *options)
                refused.append(simulator.stats()["rate_limited"])
        return float(said["seconds"])

    seconds, every = median(once, repeat)
    return {
        "rates_from": told,
        "burst_s": burst,
        "seconds": seconds,
        "bound_s": BOUND_S[burst],
        "ratio": round(seconds / BOUND_S[burst], 4),
        "rate_limited": max(refused),
        "may_be_refused": REFUSED[burst],
        "seconds_all": every,
    }
