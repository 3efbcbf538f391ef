"""A model dies in mid-run for good, or becomes ten times slower, or one of its two accounts dies: seconds lost against
who knew it at once."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from typing import Any

from benchmarks.common import command, environment, workplace, write_batch
from laneway.simulator.process import SimulatorProcess

SLOTS, LATENCY_S, SLOW_S, TASKS = 20, 0.5, 5.0, 800
DIES_AFTER = 0.25  # of the tasks
ACCOUNTS = """
[accounts.first]
provider = "openai"
base_url = "{first}"
concurrency = {slots}
[accounts.second]
provider = "openai"
base_url = "{second}"
concurrency = {slots}
"""
MODELS = """
[models.small]
account = "first"
id = "gpt-4o-mini"
[models.other]
account = "second"
id = "gpt-4o-mini"
[defaults]
model = "small"
fallbacks = ["other"]
"""
KINDS = {
    "model": MODELS,
    "slow model": MODELS,
    "account": """
[models.small]
accounts = ["first", "second"]
id = "gpt-4o-mini"
[defaults]
model = "small"
""",
}


def run(repeat: int) -> dict[str, Any]:
    kinds = {}
    for kind in KINDS:
        runs = [measure(kind) for _ in range(repeat)]
        kinds[kind] = {"lost_s": round(statistics.median(one["lost_s"] for one in runs), 2), "runs": runs}
    return {"lost_s": max(one["lost_s"] for one in kinds.values()), "slots": SLOTS, "tasks": TASKS, "kinds": kinds}


def measure(kind: str) -> dict[str, Any]:
    options: dict[str, Any] = {"latency": LATENCY_S, "output_tokens": 10}
    with workplace() as folder, SimulatorProcess(**options) as first, SimulatorProcess(**options) as second:
        text = ACCOUNTS.format(first=first.url, second=second.url, slots=SLOTS) + KINDS[kind]
        (folder / "laneway.toml").write_text(text)
        write_batch(folder / "tasks.jsonl", TASKS, model="auto")
        process = subprocess.Popen(
            command("run", "tasks.jsonl", "--json"),
            cwd=folder,
            env=environment(first.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        while _done(first, second) < DIES_AFTER * TASKS:
            time.sleep(0.02)
        done = _done(first, second)
        if kind == "slow model":
            first.control(latency=SLOW_S)
        else:
            first.stop()
        changed = time.time()
        out, said = process.communicate(timeout=120)
        ended = time.time()
        if process.returncode != 0:
            raise RuntimeError(f"exit {process.returncode}: {said.decode()[-2000:]}")
        rate = SLOTS / LATENCY_S + (SLOTS / SLOW_S if kind == "slow model" else 0.0)
        least = (TASKS - done) / rate  # on what is left, all slots in use from now on
        result = json.loads(out.splitlines()[-1])
        return {
            "lost_s": round(ended - changed - least, 2),
            "least_s": round(least, 2),
            "diverted": result["diverted"]["tasks"],
            "retries": result["retries"],
        }


def _done(*simulators: SimulatorProcess) -> int:
    return sum(int(one.stats()["completed"]) for one in simulators)
