"""The last of 500 requests is never answered; 2,000 honest calls of mixed length; a provider that hangs for good."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.common import command, environment, laneway, workplace
from laneway.simulator.process import SimulatorProcess

TASKS, HONEST = 500, 2000
CONFIG = """
[accounts.main]
provider = "openai"
concurrency = {slots}
[models.gpt-4o-mini]
account = "main"
id = "gpt-4o-mini"
input_price = 0.15
output_price = 0.6
timeout = "{timeout}"
"""
LENGTHS = (20, 60, 200, 600)  # max_tokens of the honest calls, in turn
DEFAULT_PEER_S = 600.0  # openai-python 2, ``DEFAULT_TIMEOUT``: what a script on it waits for a call that hangs


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--long", action="store_true", help="also a provider that hangs for good (12 minutes)")


def run(repeat: int, *, long: bool = False) -> dict[str, Any]:
    lasts = [_last_hangs() for _ in range(repeat)]
    seconds = sorted(one["seconds"] for one in lasts)
    return {
        "last_hangs": {
            **lasts[-1],
            "seconds": seconds[len(seconds) // 2],
            "seconds_all": seconds,
            "without_hanging_s": _last_hangs(hang=False)["seconds"],
            "openai_sdk_default_timeout_s": DEFAULT_PEER_S,
        },
        "all_hang": _all_hang() if long else None,
        "honest": _honest(),
    }


def _tasks(path: Path, n: int, lengths: tuple[int, ...] = (20,)) -> None:
    with path.open("w") as file:
        for i in range(n):
            message = {"role": "user", "content": f"hello {i}"}
            body = {"model": "gpt-4o-mini", "messages": [message], "max_tokens": lengths[i % len(lengths)]}
            row = {"custom_id": f"t{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps(row) + "\n")


def _last_hangs(*, hang: bool = True) -> dict[str, Any]:
    """500 tasks of a second over 50 slots; the 500th request is never answered."""
    faults = {"hang_nth": TASKS} if hang else {}
    with workplace() as folder, SimulatorProcess(latency=1.0, spread=0.3, output_tokens=20, **faults) as simulator:
        _tasks(folder / "tasks.jsonl", TASKS)
        (folder / "laneway.toml").write_text(CONFIG.format(slots=50, timeout="120s"))
        env = {"LANEWAY_ACCOUNTS__MAIN__BASE_URL": simulator.url}
        said = laneway(folder, simulator.url, "run", "tasks.jsonl", env=env)
        told = _explained(folder, simulator.url, env) if said["timeouts"] else ""
        kept = ("seconds", "calls", "timeouts", "retries", "stopped_reason")
        return {**{name: said[name] for name in kept}, "tasks": said["tasks"]["succeeded"], "said": told}


def _explained(folder: Path, url: str, env: dict[str, str]) -> str:
    """What ``laneway explain`` says of the call that was broken off."""
    for i in range(TASKS - 1, -1, -1):
        explained = laneway(folder, url, "explain", f"t{i}", env=env)
        for attempt in explained["attempts"]:
            if attempt["error"]:
                return str(attempt["error"]["message"])
    return ""


def _all_hang() -> dict[str, Any]:
    """From the middle on nothing is answered. The run looks for ten minutes whether the provider is back, and stops."""
    with workplace() as folder, SimulatorProcess(latency=0.5, output_tokens=20) as simulator:
        _tasks(folder / "tasks.jsonl", TASKS)
        (folder / "laneway.toml").write_text(CONFIG.format(slots=50, timeout="120s"))
        env = environment(simulator.url, LANEWAY_ACCOUNTS__MAIN__BASE_URL=simulator.url)
        process = subprocess.Popen(
            command("run", "tasks.jsonl", "--json"),
            cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        while simulator.stats()["completed"] < TASKS // 2:
            time.sleep(0.05)
        simulator.control(latency=100_000)
        began = time.perf_counter()
        out, _ = process.communicate(timeout=900)
    said = json.loads(out.splitlines()[-1])
    return {
        "exit": process.returncode,
        "stopped_after_s": round(time.perf_counter() - began, 1),
        "stopped_reason": said["stopped_reason"],
        "said": said["stopped_message"],
        "timeouts": said["timeouts"],
        "succeeded": said["tasks"]["succeeded"],
        "failed": said["tasks"]["failed"],
        "remaining": said["tasks"]["remaining"],
    }


def _honest() -> dict[str, Any]:
    """2,000 calls of four lengths, log-normal with sigma 0.6: none is to be broken off."""
    options = {"latency": 0.1, "token_latency": 0.003, "spread": 0.6, "output_tokens": 1000}
    with workplace() as folder, SimulatorProcess(**options) as simulator:
        _tasks(folder / "tasks.jsonl", HONEST, LENGTHS)
        (folder / "laneway.toml").write_text(CONFIG.format(slots=100, timeout="120s"))
        env = {"LANEWAY_ACCOUNTS__MAIN__BASE_URL": simulator.url}
        said = laneway(folder, simulator.url, "run", "tasks.jsonl", env=env)
        longest = max(group["p95_s"] for group in said["by_model"].values())
        return {"calls": said["calls"], "timeouts": said["timeouts"], "p95_s": longest, "seconds": said["seconds"]}
