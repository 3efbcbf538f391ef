"""Kill -9 at 20 random moments of a 500-task run, run again each time: nothing lost or twice, no call too many."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from typing import Any

from benchmarks.common import command, environment, laneway, workplace, write_batch
from laneway.simulator.process import SimulatorProcess

TASKS, KILLS = 500, 20


def run(repeat: int) -> dict[str, Any]:
    runs = [_once(seed) for seed in range(repeat)]
    return {
        "kills": sum(run["kills"] for run in runs),
        "lost": sum(run["missing"] for run in runs),
        "twice": sum(run["twice"] for run in runs),
        "calls_over": max(run["calls_over"] for run in runs),
        "runs": runs,
    }


def _once(seed: int) -> dict[str, Any]:
    rng, kills = random.Random(seed), 0
    arguments = ("run", "tasks.jsonl", "--concurrency", "12")
    with workplace() as folder, SimulatorProcess(latency=0.2, spread=0.3, output_tokens=20) as simulator:
        write_batch(folder / "tasks.jsonl", TASKS)
        while kills < KILLS:
            process = subprocess.Popen(
                command(*arguments), cwd=folder, env=environment(simulator.url), stderr=subprocess.DEVNULL
            )
            try:
                process.wait(timeout=rng.uniform(0.3, 1.5))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
        said = laneway(folder, simulator.url, *arguments)
        keys = [json.loads(row)["custom_id"] for row in (folder / "tasks.results.jsonl").read_text().splitlines()]
        lost = said["whole_run"]["lost"]
        return {
            "kills": kills,
            "missing": TASKS - len(set(keys)),
            "twice": len(keys) - len(set(keys)),
            "calls_seen": simulator.stats()["requests"],
            "ledger_lost": lost,
            "calls_over": simulator.stats()["requests"] - TASKS - lost,
        }
