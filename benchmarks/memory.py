"""200,000 no-op Python tasks submitted and run in one process: peak memory, tasks a second."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.common import workplace

TASKS = 200_000
PROGRAM = """
import asyncio, json, resource, sys, time
from laneway import Laneway
lw = Laneway(store="sqlite:///" + sys.argv[1])

@lw.task
async def nothing(n: int) -> int:
    return n

async def main(n):
    began, seen = time.perf_counter(), 0
    async with lw.worker():
        async for result in lw.map(nothing, range(n)):
            assert result == seen
            seen += 1
    seconds = time.perf_counter() - began
    faults = await lw.store.check()
    await lw.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"tasks": seen, "seconds": seconds, "peak_mb": peak, "faults": faults}))

asyncio.run(main(int(sys.argv[2])))
"""


def run(repeat: int) -> dict[str, Any]:
    with workplace() as folder:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder / "s.db"), str(TASKS)],
            capture_output=True,
            text=True,
            check=True,
        )
    said = json.loads(done.stdout)
    return {**said, "tasks_per_s": round(said["tasks"] / said["seconds"])}
