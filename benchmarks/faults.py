"""Two workers on PostgreSQL: one is killed among 200 calls of 2 s; then the server is restarted every 10 s."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import laneway, workplace
from benchmarks.fleet import PATIENCE_S, all_ended, all_there, prepare, read, until, workers
from benchmarks.postgres import PostgresServer
from laneway.app.settings import open_store
from laneway.dispatch.heart import LEASE_S
from laneway.simulator.process import SimulatorProcess

KILLED_AT_S = 5.0
RESTARTS, EVERY_S = 12, 10.0
AT_ONCE = 20


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--restarts", type=int, default=RESTARTS, help="of the server (default: %(default)s)")


def run(repeat: int, restarts: int) -> dict[str, Any]:
    """``recovery_leases``: after so many leases the last call of the killed worker began again. ``calls_over``: what
    the simulator counted beyond one call for each task and those that the ledger has as claimed and unsettled."""
    kills = [_once(200, latency=2.0, restarts=0) for _ in range(repeat)]
    storms = [_once(round(restarts * EVERY_S * AT_ONCE), latency=1.0, restarts=restarts) for _ in range(repeat)]
    everything = [*kills, *storms]
    return {
        "recovery_leases": max(one["recovery_leases"] for one in kills),
        "lost": sum(one["lost"] for one in everything),
        "recorded_twice": sum(one["recorded_twice"] for one in everything),
        "calls_over": max(one["calls_over"] for one in everything),
        "faults_in_books": [fault for one in everything for fault in one["faults"]],
        "kills": kills,
        "restarts": storms,
    }


def _once(tasks: int, *, latency: float, restarts: int) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = stack.enter_context(workplace())
        simulator = stack.enter_context(SimulatorProcess(latency=latency, output_tokens=20))
        server = stack.enter_context(PostgresServer())
        prepare(folder, tasks, concurrency=AT_ONCE)
        fleet = stack.enter_context(workers(2, folder, simulator.url, server.url()))
        return asyncio.run(_measure(folder, simulator, server, fleet, tasks, restarts))


async def _measure(
    folder: Path,
    simulator: SimulatorProcess,
    server: PostgresServer,
    fleet: Sequence[subprocess.Popen[bytes]],
    n: int,
    restarts: int,
) -> dict[str, Any]:
    store = open_store(server.url())
    await until(partial(all_there, store, len(fleet)), PATIENCE_S, "the workers did not start")
    simulator.reset()
    began = killed_at = time.time()
    laneway(folder, simulator.url, "submit", "hello", "--file", "tasks.jsonl", "--store", server.url())
    for turn in range(restarts):
        await asyncio.sleep(EVERY_S)
        await asyncio.to_thread(server.restart, "immediate" if turn % 2 else "fast")
    if not restarts:
        await asyncio.sleep(KILLED_AT_S)
        killed_at = time.time()
        fleet[0].kill()
        fleet[0].wait()
    await until(partial(all_ended, store), 4 * n / AT_ONCE + PATIENCE_S, "the tasks did not end")
    seconds = time.time() - began
    ledger = await read(store, n)
    faults = await store.check()
    await store.close()
    return {
        "tasks": n,
        "seconds": round(seconds, 1),
        "recovery_leases": round((ledger.recovered_at - killed_at) / LEASE_S, 3) if ledger.unsettled else 0.0,
        "lost": ledger.lost,
        "recorded_twice": ledger.recorded_twice,
        "claimed_and_unsettled": len(ledger.unsettled),
        "calls_over": simulator.stats()["requests"] - n - len(ledger.unsettled),
        "faults": faults,
    }
