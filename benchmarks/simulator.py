"""Requests a second that the simulator answers, at 64 and 256 in flight, and what a request costs it in CPU."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

from benchmarks.processes import cpu_s
from laneway.simulator.process import SimulatorProcess

REQUESTS = 8_000
BODY = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}],"max_tokens":50}'


def run(repeat: int) -> dict[str, Any]:
    with SimulatorProcess(latency=0, output_tokens=20, rpm=10_000_000) as simulator:
        levels = {str(n): asyncio.run(_load(simulator, n)) for n in (64, 256)}
    return {"in_flight": levels, "requests_per_cpu_s": min(level["per_cpu_s"] for level in levels.values())}


async def _load(simulator: SimulatorProcess, in_flight: int) -> dict[str, float]:
    url = simulator.url + "/chat/completions"
    left = iter(range(REQUESTS))

    async def one(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(url, data=BODY) as response:
                await response.read()

    cpu, began = cpu_s(simulator.pid), time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(one(session) for _ in range(in_flight)))
    seconds, used = time.perf_counter() - began, cpu_s(simulator.pid) - cpu
    return {"per_s": round(REQUESTS / seconds), "per_cpu_s": round(REQUESTS / used)}
