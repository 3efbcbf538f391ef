"""Worker processes on one store, and what their ledger says in the end: for the benchmarks of fleets."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import command, environment
from benchmarks.postgres import PostgresServer
from laneway.store.interface import Store
from laneway.task import Attempt, Outcome, State

PATIENCE_S = 60.0  # for workers to be there
CONFIG = """
[accounts.main]
provider = "openai"
{limits}
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


class Ledger(NamedTuple):
    """What became of ``n`` tasks."""

    lost: int  # that did not succeed
    recorded_twice: int
    unsettled: list[Attempt]  # calls that were claimed and unsettled when their worker died
    calls: int  # all in the ledger
    recovered_at: float  # when the last of them was begun again


def prepare(folder: Path, n: int, **limits: float) -> None:
    """The config and input of ``laneway submit hello --file tasks.jsonl``."""
    said = "\n".join(f"{name} = {value}" for name, value in limits.items())
    (folder / "laneway.toml").write_text(CONFIG.format(limits=said))
    (folder / "hello.j2").write_text("hello {{ number }}")
    (folder / "tasks.jsonl").write_text("".join(f'{{"number": {number}}}\n' for number in range(n)))


async def read(store: Store, n: int) -> Ledger:
    ids = [task for _, task in await store.ended_after(0, 10 * n)]
    lines = {id_: await store.attempts(id_) for id_ in dict.fromkeys(ids)}
    ended = [task for task in await store.get_tasks(list(lines)) if task.state is State.SUCCEEDED]
    unsettled = [a for attempts in lines.values() for a in attempts if a.outcome is Outcome.LOST]
    again = [min(later.started_at for later in lines[a.task_id] if later.fence > a.fence) for a in unsettled]
    twice = sum(sum(a.outcome is Outcome.OK for a in attempts) > 1 for attempts in lines.values())
    calls = sum(map(len, lines.values()))
    return Ledger(n - len(ended), twice + len(ids) - len(lines), unsettled, calls, max(again, default=0.0))


async def until(reached: Callable[[], Awaitable[bool]], patience: float, otherwise: str) -> None:
    give_up = time.monotonic() + patience
    while not await reached():
        if time.monotonic() > give_up:
            raise RuntimeError(otherwise)
        await asyncio.sleep(0.2)


async def all_there(store: Store, n: int) -> bool:
    return len(await store.workers(time.time())) >= n


async def all_ended(store: Store) -> bool:
    return not any(n for cell in await store.tally() for state, n in cell.counts.items() if not state.ended)


@contextmanager
def store_of(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'laneway.db'}"
        return
    with PostgresServer() as server:
        yield server.url()


@contextmanager
def workers(n: int, folder: Path, url: str, store: str) -> Iterator[list[subprocess.Popen[bytes]]]:
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
