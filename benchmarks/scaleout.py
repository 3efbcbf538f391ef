"""Real worker processes, 1, 2 and 4, on one account of 1,200 requests a minute; then one of four is killed."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import command, environment, laneway, workplace
from benchmarks.postgres import PostgresServer
from laneway.app.settings import open_store
from laneway.dispatch.heart import LEASE_S
from laneway.simulator.process import SimulatorProcess
from laneway.store.interface import Store
from laneway.task import Outcome, State

RPM, LATENCY_S = 1200, 1.0
FLEETS = (1, 2, 4)
STEADY_S = 3  # seconds at the beginning that do not count: a full bucket is used up, shares find their way
KILLED_AT_S = 20.0
PATIENCE_S = 60.0  # for workers to be there
CONFIG = f"""
[accounts.main]
provider = "openai"
requests_per_minute = {RPM}
[models.gpt-4o-mini]
account = "main"
id = "gpt-4o-mini"
input_price = 0.15
output_price = 0.6
[types.hello]
prompt = "hello.j2"
model = "gpt-4o-mini"
max_output_tokens = 20
"""


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
        url = stack.enter_context(_store(kind, folder))
        (folder / "laneway.toml").write_text(CONFIG)
        (folder / "hello.j2").write_text("hello {{ number }}")
        workers = stack.enter_context(_workers(n, folder, simulator.url, url))
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
    await _until(partial(_all_there, store, len(workers)), PATIENCE_S, "the workers did not start")
    (folder / "tasks.jsonl").write_text("".join(f'{{"number": {number}}}\n' for number in range(n)))
    simulator.reset()
    laneway(folder, simulator.url, "submit", "hello", "--file", "tasks.jsonl", "--store", url)
    killed_at = 0.0
    if kill:
        await asyncio.sleep(KILLED_AT_S)
        killed_at = time.time()
        workers[1].kill()
        workers[1].wait()
    await _until(partial(_all_ended, store), 3 * n / (RPM / 60) + PATIENCE_S, "the tasks did not end")
    ids = [task for _, task in await store.ended_after(0, 10 * n)]
    ledger = {id_: await store.attempts(id_) for id_ in dict.fromkeys(ids)}
    ended = {task.id for task in await store.get_tasks(list(ledger)) if task.state is State.SUCCEEDED}
    await store.close()
    lost_calls = [a for attempts in ledger.values() for a in attempts if a.outcome is Outcome.LOST]
    again = [min(later.started_at for later in ledger[a.task_id] if later.fence > a.fence) for a in lost_calls]
    said = simulator.stats()
    steady = said["per_second"][STEADY_S:-1]
    return {
        "workers": len(workers),
        "tasks": n,
        "limit_use": round(sum(steady) / len(steady) / (RPM / 60), 4),
        "rate_limited": said["rate_limited"],
        "lost": n - len(ended),
        "recorded_twice": sum(sum(a.outcome is Outcome.OK for a in attempts) > 1 for attempts in ledger.values())
        + len(ids)
        - len(ledger),
        "claimed_and_unsettled": len(lost_calls),
        "calls_over": said["requests"] - n - len(lost_calls),
        "recovery_leases": round((max(again) - killed_at) / LEASE_S, 3) if again else 0.0,
        "per_second": said["per_second"],
    }


async def _until(reached: Callable[[], Awaitable[bool]], patience: float, otherwise: str) -> None:
    give_up = time.monotonic() + patience
    while not await reached():
        if time.monotonic() > give_up:
            raise RuntimeError(otherwise)
        await asyncio.sleep(0.2)


async def _all_there(store: Store, n: int) -> bool:
    return len(await store.workers(time.time())) >= n


async def _all_ended(store: Store) -> bool:
    return not any(n for cell in await store.tally() for state, n in cell.counts.items() if not state.ended)


@contextmanager
def _store(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'laneway.db'}"
        return
    with PostgresServer() as server:
        yield server.url()


@contextmanager
def _workers(n: int, folder: Path, url: str, store: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    log = (folder / "workers.log").open("wb")
    env = environment(url)
    started = [
        subprocess.Popen(command("worker", "--store", store), cwd=folder, env=env, stdout=log, stderr=log)
        for _ in range(n)
    ]
    try:
        yield started
    finally:
        for one in started:
            one.terminate()
        for one in started:
            one.wait()
        log.close()
        if os.environ.get("LANEWAY_BENCH_LOG"):
            print((folder / "workers.log").read_text())
