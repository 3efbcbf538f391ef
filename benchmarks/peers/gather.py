"""What most people write first: every request as a task, a semaphore around the openai SDK's call.

The SDK retries 408, 409, 429 and 5xx by itself, twice by default, and waits as ``retry-after`` says. The semaphore is
each account's concurrency where one is known, else 100. ``gather_tuned`` as the argument: as many calls as the limit
keeps busy on average, which only somebody knows who knows the latencies beforehand.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count
from typing import Any

from openai import AsyncOpenAI, OpenAIError

USUAL = 100


async def main(job: dict[str, Any], *, tuned: bool) -> dict[str, Any]:
    accounts = job["accounts"]
    clients = {name: AsyncOpenAI(api_key="sk-peer", base_url=one["url"]) for name, one in accounts.items()}
    gates = {
        name: asyncio.Semaphore(one["in_flight"] if tuned else one["concurrency"] or USUAL)
        for name, one in accounts.items()
    }
    turns = count()
    failed = 0

    async def ask(body: dict[str, Any], able: list[str]) -> None:
        nonlocal failed
        account = able[next(turns) % len(able)]
        async with gates[account]:
            try:
                await clients[account].chat.completions.create(**body)
            except OpenAIError:
                failed += 1

    began = time.perf_counter()
    await asyncio.gather(*(ask(task["body"], task["accounts"]) for task in job["tasks"]))
    seconds = time.perf_counter() - began
    cpu_s = round(time.process_time(), 2)
    return {"seconds": round(seconds, 3), "succeeded": len(job["tasks"]) - failed, "failed": failed, "cpu_s": cpu_s}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin), tuned=sys.argv[1:] == ["gather_tuned"]))))
