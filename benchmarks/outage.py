"""A provider away for a minute in mid-run: seconds until 0.9 of the throughput is back, and attempts used up."""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import apsw

from benchmarks.common import command, environment, workplace, write_batch
from laneway.simulator.process import SimulatorProcess

SLOTS, LATENCY_S, SPREAD = 50, 1.0, 0.3
BEFORE_S, AFTER_S = 12.0, 20.0
WINDOW_S = 2.0  # over which throughput is counted
KINDS = ("errors", "refused")  # every call fails with a 500; nothing listens at the address
CONFIG = f"""
[accounts.main]
provider = "openai"
concurrency = {SLOTS}
[models.small]
account = "main"
id = "gpt-4o-mini"
[defaults]
model = "small"
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--outage", type=float, default=60.0, metavar="SECONDS", help="how long it is away (default: 60)"
    )


def run(repeat: int, outage: float = 60.0) -> dict[str, Any]:
    kinds = {}
    for kind in KINDS:
        runs = [measure(kind, outage) for _ in range(repeat)]
        kinds[kind] = {
            "recover_s": round(statistics.median(one["recover_s"] for one in runs), 2),
            "attempts_burned": max(one["attempts_burned"] for one in runs),
            "runs": runs,
        }
    return {
        "outage_s": outage,
        "slots": SLOTS,
        "recover_s": max(one["recover_s"] for one in kinds.values()),
        "attempts_burned": max(one["attempts_burned"] for one in kinds.values()),
        "kinds": kinds,
    }


def measure(kind: str, outage: float) -> dict[str, Any]:
    tasks = int((BEFORE_S + AFTER_S) * SLOTS / LATENCY_S)
    options: dict[str, Any] = {"latency": LATENCY_S, "spread": SPREAD, "output_tokens": 10, "port": _free_port()}
    with workplace() as folder:
        (folder / "laneway.toml").write_text(CONFIG)
        write_batch(folder / "tasks.jsonl", tasks)
        simulator = SimulatorProcess(**options).start()
        env = environment(simulator.url)
        process = subprocess.Popen(
            command("run", "tasks.jsonl", "--json"), cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            while not simulator.stats()["completed"]:
                time.sleep(0.05)
            time.sleep(BEFORE_S)
            if kind == "errors":
                simulator.control(error_rate=1.0)
            else:
                simulator.stop()
            began = time.time()
            time.sleep(outage)
            if kind == "errors":
                simulator.control(error_rate=0.0)
            else:
                simulator = SimulatorProcess(**options).start()
            ended = time.time()
            _, said = process.communicate(timeout=AFTER_S + 60)
        finally:
            process.kill()
            simulator.stop()
        if process.returncode != 0:
            raise RuntimeError(f"exit {process.returncode}: {said.decode()[-2000:]}")
        return _books(folder / ".laneway" / "laneway.db", began, ended)


def _books(store: Path, began: float, ended: float) -> dict[str, Any]:
    """From the ledger: what was answered when, and what the tasks were charged with."""
    db = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)
    calls = list(db.execute("SELECT started_at + latency, outcome FROM attempt WHERE latency IS NOT NULL"))
    burned, tasks = next(iter(db.execute("SELECT total(attempts), count(*) FROM task WHERE state = 'succeeded'")))
    db.close()
    answered = sorted(at for at, outcome in calls if outcome == "ok")
    usual = sum(began - BEFORE_S + 2 <= at < began for at in answered) / (BEFORE_S - 2)
    at = ended
    while sum(at <= one < at + WINDOW_S for one in answered) < 0.9 * usual * WINDOW_S and at < ended + AFTER_S:
        at += 0.05
    during = [outcome for one, outcome in calls if began + 5 <= one < ended]
    return {
        "usual_per_s": round(usual, 1),
        "recover_s": round(at - ended, 2),
        "attempts_burned": int(burned - tasks),
        "calls_during": len(during),
        "refused_share": round(sum(outcome == "rate_limited" for _, outcome in calls) / len(calls), 4),
    }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
