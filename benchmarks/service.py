"""``laneway serve`` in front of a provider that takes 0.3 s: what it adds to a call, and how many it carries."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from benchmarks import peers as environments
from benchmarks import service_pages
from benchmarks.common import command, environment, workplace
from benchmarks.million import TASKS
from benchmarks.peers.litellm_proxy import litellm_proxy
from benchmarks.processes import cpu_s
from laneway.simulator.process import SimulatorProcess

LATENCY_S = 0.3
RATE, SECONDS, CLIENTS = 300.0, 10.0, 500
WARM_UP_S = 1.0
CONFIG = """
[accounts.main]
provider = "openai"
concurrency = 1500
[models.small]
account = "main"
id = "gpt-4o-mini"
[defaults]
model = "small"
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rate", type=float, default=RATE, help="calls a second of the open loop (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each loop (default: %(default)s)")
    parser.add_argument(
        "--tasks",
        type=int,
        default=TASKS,
        help="in the stores of the pages; 0: none (default: %(default)s)",
    )
    environments.option(parser)


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int


def run(
    repeat: int, rate: float = RATE, seconds: float = SECONDS, tasks: int = TASKS, peers: str = "once"
) -> dict[str, Any]:
    """The open loop sends calls evenly, whatever becomes of them; a call's time begins when it should have been sent.
    ``added``: beyond the latency that the simulator was told. ``bare``: the same client straight to the simulator, in
    the same minute. The closed loop's 500 clients ask again as soon as they are answered. ``litellm_ratio``: calls a
    second of that loop, ours over those of LiteLLM's proxy (or, with several repeats, the medians').
    ``dashboard``: see ``service_pages``."""
    rows, theirs = [], []
    for number in range(repeat):
        rows.append(_measure(rate, seconds))
        if peers != "none" and (number == 0 or peers != "once"):
            theirs.append(_litellm(rate, seconds))
    middle = _medians(rows)
    return {
        **middle,
        **_beside(middle["requests_per_s"], theirs),
        **(service_pages.measure(tasks, tasks // 5) if tasks else {}),
        "rate": rate,
        "clients": CLIENTS,
        "added_p50_ms_all": [round(row["added_p50_ms"], 2) for row in rows],
        "added_p99_ms_all": [round(row["added_p99_ms"], 2) for row in rows],
        "measured": "client, simulator and server on one machine; times in ms, CPU of the server process",
    }


def _medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median([row[name] for row in rows]), 2) for name in rows[0]}


def _beside(requests_per_s: float, theirs: Sequence[Mapping[str, float] | str]) -> dict[str, Any]:
    """LiteLLM's figures and the ratio of ours, or why there are none."""
    skipped = [one for one in theirs if isinstance(one, str)]
    measured = [one for one in theirs if not isinstance(one, str)]
    if not measured:
        return {"litellm_ratio": None, "litellm": {"skipped": skipped[0]} if skipped else None}
    middle = _medians(measured)
    version = environments.versions("litellm", requirements=environments.PROXY)
    ratio = requests_per_s / middle["requests_per_s"] if middle["requests_per_s"] else None
    return {"litellm_ratio": ratio and round(ratio, 2), "litellm": {**middle, "version": version["litellm"]}}


def _litellm(rate: float, seconds: float) -> Mapping[str, float] | str:
    """The same loops through LiteLLM's proxy; the open one at no more than half of what it carries."""
    if (why := environments.missing(environments.PROXY)) is not None:
        return why
    with (
        workplace() as folder,
        SimulatorProcess(latency=LATENCY_S, output_tokens=10) as simulator,
        litellm_proxy(folder, simulator.url) as proxy,
    ):
        asyncio.run(_open_loop(proxy.url, 20.0, WARM_UP_S))
        before = cpu_s(proxy.pid)
        carried = asyncio.run(_closed_loop(proxy.url, seconds))
        used = cpu_s(proxy.pid) - before
        open_rate = min(rate, 0.5 * carried)
        took = asyncio.run(_open_loop(proxy.url, open_rate, seconds))
    return {
        "requests_per_s": carried,
        "cpu_ms_per_call": 1000 * used / (carried * seconds),
        "open_rate": open_rate,
        "added_p50_ms": _added(took, 0.5),
        "added_p99_ms": _added(took, 0.99),
    }


def _measure(rate: float, seconds: float) -> dict[str, float]:
    with SimulatorProcess(latency=LATENCY_S, output_tokens=10) as simulator, _served(simulator.url) as server:
        asyncio.run(_open_loop(server.url, min(rate, 50.0), WARM_UP_S))
        bare = asyncio.run(_open_loop(simulator.url, rate, seconds))
        before = cpu_s(server.pid)
        ours = asyncio.run(_open_loop(server.url, rate, seconds))
        used = cpu_s(server.pid) - before
        carried = asyncio.run(_closed_loop(server.url, seconds))
        bare_carried = asyncio.run(_closed_loop(simulator.url, seconds))
    return {
        "added_p50_ms": _added(ours, 0.5),
        "added_p99_ms": _added(ours, 0.99),
        "bare_p50_ms": _added(bare, 0.5),
        "bare_p99_ms": _added(bare, 0.99),
        "cpu_ms_per_call": 1000 * used / len(ours),
        "requests_per_s": carried,
        "bare_requests_per_s": bare_carried,
    }


@contextmanager
def _served(url: str) -> Iterator[Server]:
    with workplace() as folder:
        (folder / "laneway.toml").write_text(CONFIG)
        process = subprocess.Popen(
            command("serve", "--port", "0", "--json"),
            cwd=folder,
            env=environment(url),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield Server(json.loads(process.stdout.readline())["url"], process.pid)
        finally:
            process.terminate()
            process.communicate(timeout=60)


async def _open_loop(url: str, rate: float, seconds: float) -> Sequence[float]:
    """Seconds of each call, the shortest first."""
    took: list[float] = []
    async with _session() as session, asyncio.TaskGroup() as group:
        began = time.perf_counter()

        async def one(due: float) -> None:
            await _ask(session, url)
            took.append(time.perf_counter() - due)

        for number in range(round(rate * seconds)):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            group.create_task(one(due))
    return sorted(took)


async def _closed_loop(url: str, seconds: float) -> float:
    """Calls a second."""
    answered = 0
    async with _session() as session, asyncio.TaskGroup() as group:
        until = time.perf_counter() + seconds

        async def client() -> None:
            nonlocal answered
            while time.perf_counter() < until:
                await _ask(session, url)
                answered += 1

        for _ in range(CLIENTS):
            group.create_task(client())
    return answered / (time.perf_counter() - until + seconds)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60), headers={"Authorization": "Bearer sk-benchmark"}
    )


async def _ask(session: aiohttp.ClientSession, url: str) -> None:
    body: Mapping[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
    async with session.post(url + "/chat/completions", json=body) as answer:
        said = await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {said[:500]!r}")


def _added(took: Sequence[float], part: float) -> float:
    return 1000 * (took[min(len(took) - 1, int(part * len(took)))] - LATENCY_S)
