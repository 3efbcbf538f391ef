"""The app of ``queue``: tasks that do nothing, and the programs that submit them. Each runs in a process of its own:

``python -m benchmarks.queue_app PROGRAM STORE N`` prints one object. ``laneway worker --app benchmarks.queue_app:lw``
serves the same tasks from another process. With a database's server in its surroundings
(``processes.SERVER``) it tells that one's CPU, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.processes import SERVER, tree_cpu_s
from laneway import Laneway

lw = Laneway()


class Done:
    """Counts what has run in this process."""

    def __init__(self) -> None:
        self.left = 0
        self.all = asyncio.Event()


done = Done()


@lw.task
async def nothing(n: int) -> int:
    done.left -= 1
    if not done.left:
        done.all.set()
    return n


@lw.task
async def began(n: int) -> float:
    """When it began: of a clock that is the same in all processes of the machine (CLOCK_MONOTONIC)."""
    return time.monotonic()


async def one_by_one(n: int) -> dict[str, Any]:
    """Each is durable before the next is submitted. Nobody works."""
    started = time.perf_counter()
    for i in range(n):
        await lw.submit(nothing, i)
    return {"per_s": n / (time.perf_counter() - started)}


async def bulk(n: int) -> dict[str, Any]:
    started = time.perf_counter()
    await lw.submit_many(nothing, range(n))
    return {"per_s": n / (time.perf_counter() - started)}


async def through(n: int) -> dict[str, Any]:
    """From the first submit to the last stored result, a worker of this process at work all the time."""
    async with AsyncExitStack() as working:
        await working.enter_async_context(lw.worker())
        await _warm()
        done.left = n
        started, cpu, server = time.perf_counter(), time.process_time(), _server_cpu_s()
        await lw.submit_many(nothing, range(n))
        await done.all.wait()
        await working.aclose()  # all that ran is settled
        seconds, used = time.perf_counter() - started, time.process_time() - cpu
        served = _server_cpu_s() - server
    return {"seconds": seconds, "cpu_s": used, "server_cpu_s": served, "tasks": await _stored() - 1}


async def mapped(n: int) -> dict[str, Any]:
    """The same with every result read back in order, as ``lw.map`` gives it."""
    seen = 0
    async with lw.worker():
        await _warm()
        started = time.perf_counter()
        async for value in lw.map(nothing, range(n)):
            assert value == seen
            seen += 1
        return {"seconds": time.perf_counter() - started}


async def latency(n: int) -> dict[str, Any]:
    """Submit to start on an idle worker of this process."""
    async with lw.worker():
        return await latency_elsewhere(n)


async def latency_elsewhere(n: int) -> dict[str, Any]:
    """Submit to start, one at a time with a pause before each, on whichever worker there is."""
    rng, starts, whole = random.Random(0), [], []
    for i in range(n + 5):
        await asyncio.sleep(rng.uniform(0.02, 0.06))
        submitted = time.monotonic()
        job = await lw.submit(began, i)
        start = await job.result(timeout=30)
        if i >= 5:
            starts.append(1000 * (start - submitted))
            whole.append(1000 * (time.monotonic() - submitted))
    return {"start_ms": starts, "result_ms": whole}


def _server_cpu_s() -> float:
    return tree_cpu_s(int(os.environ[SERVER])) if SERVER in os.environ else 0.0


async def _warm() -> None:
    """Until a worker idles as it would in service: its files open, its modules and the table of prices imported."""
    await (await lw.submit(began, 0)).result()
    await asyncio.sleep(1.0)


async def _stored() -> int:
    """Results in the store, by its own books, which are checked against its rows."""
    assert await lw.store.check() == []
    tallies = await lw.store.tally()
    return sum(n for tally in tallies for state, n in tally.counts.items() if state.value == "succeeded")


PROGRAMS: dict[str, Callable[[int], Awaitable[dict[str, Any]]]] = {
    one.__name__: one for one in (one_by_one, bulk, through, mapped, latency, latency_elsewhere)
}


async def _main(program: str, store: str, n: int) -> None:
    lw.use_store(store)
    said = await PROGRAMS[program](n)
    await lw.close()
    print(json.dumps(said))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
