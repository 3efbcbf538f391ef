"""10,000 calls at 64 in flight: our CPU for a durable one beside what client libraries take for a bare one."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import peers as others
from benchmarks.common import laneway, workplace, write_batch
from benchmarks.processes import cpu_s
from laneway.simulator.process import SimulatorProcess

CALLS, IN_FLIGHT, LATENCY_S = 10_000, 64, 0.02  # 3,200 calls a second at most
SIMULATOR = {"latency": LATENCY_S, "output_tokens": 20, "rpm": 100_000_000}
PEERS: Mapping[str, tuple[str, str]] = {
    "openai": ("gather", "gather on the openai SDK, a semaphore around its call"),
    "litellm_router": ("litellm_router", "LiteLLM's Router, the same semaphore"),
    "pydantic_ai": ("pydantic_agent", "a pydantic-ai agent without tools, the same semaphore"),
}
PACKAGES = ("openai", "litellm", "pydantic-ai-slim")
PATIENCE_S = 600.0


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=CALLS, help="in one measurement (default: %(default)s)")
    others.option(parser, "; the openai SDK in every one, since ours is told over it")


def run(repeat: int, calls: int = CALLS, peers: str = "once") -> dict[str, Any]:
    """CPU is that of the whole process from its start to its exit, imports and reading the file included, over the
    number of calls. Ours is ``laneway run`` with no config, as an OpenAI Batch file needs none. ``calls_per_s`` is
    from the first submit to the last settle, a peer's from its first call to its last answer."""
    missing = None if peers == "none" else others.missing()
    beside = list(PEERS) if peers != "none" and missing is None else []
    ours: list[dict[str, float]] = []
    theirs: dict[str, list[dict[str, float]]] = {peer: [] for peer in beside}
    with workplace() as folder:
        file = write_batch(folder / "tasks.jsonl", calls)
        for turn in range(repeat):
            ours.append(_ours(file, calls))
            for peer in beside:
                if turn == 0 or peers != "once" or peer == "openai":
                    theirs[peer].append(_theirs(PEERS[peer][0], file, calls))
    mine, middle = _middle(ours), {peer: _middle(runs) for peer, runs in theirs.items()}
    ratios = [
        one["cpu_ms_per_call"] / other["cpu_ms_per_call"]
        for one, other in zip(ours, theirs.get("openai", []), strict=False)
    ]
    return {
        **mine,
        "openai_ratio": round(statistics.median(ratios), 4) if ratios else None,
        "calls": calls,
        "in_flight": IN_FLIGHT,
        "cpu_ms_per_call_all": [one["cpu_ms_per_call"] for one in ours],
        "openai_ratio_all": [round(ratio, 4) for ratio in ratios],
        "measured": "CPU of whole processes, start and imports included",
        "peers": {
            **{peer: {"about": PEERS[peer][1], **told} for peer, told in middle.items()},
            "versions": others.versions(*PACKAGES) if beside else None,
            "missing": missing if peers != "none" else "not asked for",
        },
    }


def _ours(file: Path, calls: int) -> dict[str, float]:
    with SimulatorProcess(**SIMULATOR) as simulator, workplace() as folder:
        before, began = _children_s(), time.perf_counter()
        said = laneway(folder, simulator.url, "run", str(file), "-o", "out.jsonl", "--concurrency", str(IN_FLIGHT))
        wall, used = time.perf_counter() - began, _children_s() - before
        if said["tasks"]["succeeded"] != calls:
            raise RuntimeError(f"{said['tasks']} of {calls}")
        seen = simulator.stats()
        return {
            **_figures(calls, used, said["seconds"], wall),
            "start_cpu_s": round(_start_cpu_s(simulator), 3),
            "simulator_busy": round(cpu_s(simulator.pid) / wall, 3),
            "max_in_flight": seen["max_in_flight"],
        }


def _start_cpu_s(simulator: SimulatorProcess) -> float:
    """What the command takes for a file of one task."""
    with workplace() as folder:
        before = _children_s()
        laneway(folder, simulator.url, "run", write_batch(folder / "one.jsonl", 1).name)
        return _children_s() - before


def _theirs(peer: str, file: Path, calls: int) -> dict[str, float]:
    with SimulatorProcess(**SIMULATOR) as simulator:
        account = {"url": simulator.url, "concurrency": IN_FLIGHT, "in_flight": IN_FLIGHT}
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        job = {
            "accounts": {"main": {**account, "requests_per_minute": None, "tokens_per_minute": None}},
            "tasks": [{"body": row["body"], "accounts": ["main"]} for row in rows],
        }
        said = others.run(peer, job, PATIENCE_S)
        if said["succeeded"] != calls:
            raise RuntimeError(f"{peer}: {said}")
        return _figures(calls, said["cpu_s"], said["seconds"], said["wall_s"])


def _figures(calls: int, used: float, seconds: float, wall: float) -> dict[str, float]:
    return {
        "cpu_ms_per_call": round(1000 * used / calls, 4),
        "calls_per_s": round(calls / seconds),
        "cpu_s": round(used, 2),
        "seconds": round(seconds, 3),
        "wall_s": round(wall, 3),
    }


def _children_s() -> float:
    """CPU seconds of this process's children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _middle(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 4) for name in runs[0]}
