"""Urgent tasks that arrive at random: ``python -m benchmarks.arrivals FOLDER COUNT SECONDS SEED``.

In a process of its own, as a backend would: one ``submit`` each, none waiting for another.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from laneway import Laneway


async def arrive(folder: Path, count: int, seconds: float, seed: int) -> None:
    """A Poisson process of ``count`` arrivals, over ``seconds`` on average."""
    lw = Laneway(folder / "laneway.toml")
    rng = random.Random(seed)
    loop = asyncio.get_running_loop()
    await lw.store.runs()  # open it first: an application has been up for long
    at = loop.time()
    submitting = []
    for number in range(count):
        at += rng.expovariate(count / seconds)
        await asyncio.sleep(at - loop.time())
        submitting.append(loop.create_task(lw.submit("ask", text=f"urgent {seed} {number}", urgency="urgent")))
    await asyncio.gather(*submitting)
    await lw.close()


if __name__ == "__main__":
    place, tasks, over, number = sys.argv[1:]
    asyncio.run(arrive(Path(place), int(tasks), float(over), int(number)))
