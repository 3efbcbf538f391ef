"""Requests a second that the simulator answers, at 64 and 256 in flight, and what a request costs it in CPU."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import aiohttp

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

    cpu, began = _cpu_s(simulator.pid), time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(one(session) for _ in range(in_flight)))
    seconds, used = time.perf_counter() - began, _cpu_s(simulator.pid) - cpu
    return {"per_s": round(REQUESTS / seconds), "per_cpu_s": round(REQUESTS / used)}


def _cpu_s(pid: int) -> float:
    """User and system CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
