"""Real worker processes, 1, 2 and 4, on one account of 1,200 requests a minute; then one of four is killed."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import laneway, workplace
from benchmarks.fleet import PATIENCE_S, all_ended, all_there, prepare, read, store_of, until
from benchmarks.fleet import workers as fleet_of
from laneway.app.settings import open_store
from laneway.dispatch.heart import LEASE_S
from laneway.simulator.process import SimulatorProcess

RPM, LATENCY_S = 1200, 1.0
FLEETS = (1, 2, 4)
STEADY_S = 3  # seconds at the beginning that do not count: a full bucket is used up, shares find their way
KILLED_AT_S = 20.0


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--tasks", type=int, default=900, help="for each fleet (default: 900, of 45 s)")


def run(repeat: int, store: str, tasks: int) -> dict[str, Any]:
    runs = [_once(store, tasks) for _ in range(repeat)]
    fleets = [fleet for one in runs for fleet in one["fleets"]]
    kills = [one["kill"] for one in runs]
    uses = {n: statistics.median(fleet["limit_use"] for fleet in fleets if fleet["workers"] == n) for n in FLEETS}
    everything = [*fleets, *kills]
    return {
        "store": store,
        "limit_use": min(uses.values()),
        "limit_use_by_workers": uses,
        "rate_limited": sum(one["rate_limited"] for one in everything),
        "recovery_leases": statistics.median(one["recovery_leases"] for one in kills),
        "limit_use_after_kill": statistics.median(one["limit_use"] for one in kills),
        "lost": sum(one["lost"] for one in everything),
        "recorded_twice": sum(one["recorded_twice"] for one in everything),
        "calls_over": max(one["calls_over"] for one in everything),
        "runs": runs,
    }


def _once(store: str, tasks: int) -> dict[str, Any]:
    fleets = [_fleet(n, store, tasks, kill=False) for n in FLEETS]
    return {"fleets": fleets, "kill": _fleet(FLEETS[-1], store, max(tasks, int(KILLED_AT_S * RPM / 30)), kill=True)}


def _fleet(n: int, kind: str, tasks: int, *, kill: bool) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = stack.enter_context(workplace())
        simulator = stack.enter_context(SimulatorProcess(rpm=RPM, latency=LATENCY_S, output_tokens=20))
        url = stack.enter_context(store_of(kind, folder))
        prepare(folder, tasks, requests_per_minute=RPM)
        workers = stack.enter_context(fleet_of(n, folder, simulator.url, url))
        return asyncio.run(_measure(folder, simulator, url, workers, tasks, kill=kill))


async def _measure(
    folder: Path,
    simulator: SimulatorProcess,
    url: str,
    workers: Sequence[subprocess.Popen[bytes]],
    n: int,
    *,
    kill: bool,
) -> dict[str, Any]:
    store = open_store(url)
    await until(partial(all_there, store, len(workers)), PATIENCE_S, "the workers did not start")
    simulator.reset()
    laneway(folder, simulator.url, "submit", "hello", "--file", "tasks.jsonl", "--store", url)
    killed_at = 0.0
    if kill:
        await asyncio.sleep(KILLED_AT_S)
        killed_at = time.time()
        workers[1].kill()
        workers[1].wait()
    await until(partial(all_ended, store), 3 * n / (RPM / 60) + PATIENCE_S, "the tasks did not end")
    ledger = await read(store, n)
    await store.close()
    said = simulator.stats()
    steady = said["per_second"][STEADY_S:-1]
    return {
        "workers": len(workers),
        "tasks": n,
        "limit_use": round(sum(steady) / len(steady) / (RPM / 60), 4),
        "rate_limited": said["rate_limited"],
        "lost": ledger.lost,
        "recorded_twice": ledger.recorded_twice,
        "claimed_and_unsettled": len(ledger.unsettled),
        "calls_over": said["requests"] - n - len(ledger.unsettled),
        "recovery_leases": round((ledger.recovered_at - killed_at) / LEASE_S, 3) if ledger.unsettled else 0.0,
        "per_second": said["per_second"],
    }
