"""Several workers carry out the same flows: each goes on with what another began."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from laneway import Laneway, flow
from laneway.config.models import Config
from laneway.task import State

FLOWS = 30


class Office:
    """One of the apps that share a store; ``done``: how often each piece of work was done, by any of them."""

    def __init__(self, folder: Path, url: str, done: list[tuple[int, int]], in_memory: int) -> None:
        config = Config.model_validate({"folder": folder, "flows": {"in_memory": in_memory}})
        self.lw = lw = Laneway(config, store=url, env={})

        @lw.task
        async def work(n: int, part: int) -> int:
            done.append((n, part))
            await asyncio.sleep(0.001 * ((n * 7 + part * 3) % 11))
            return n * 10 + part

        @lw.flow
        async def inner(n: int) -> int:
            return int(await work(n, 3)) + int(await work(n, 4))

        @lw.flow
        async def report(n: int) -> list[int]:
            parts = await asyncio.gather(work(n, 0), work(n, 1), work(n, 2), inner(n))
            sign = await flow.wait_event("signed")
            return [*parts, await work(n, 5), sign]

        self.report = report


@pytest.mark.parametrize("in_memory", [100, 0], ids=["kept", "replayed"])
async def test_two_workers_carry_out_the_same_flows_and_do_nothing_twice(
    tmp_path: Path, postgres_url: str, in_memory: int
) -> None:
    done: list[tuple[int, int]] = []
    offices = [Office(tmp_path, postgres_url, done, in_memory) for _ in range(2)]
    first, second = offices
    async with AsyncExitStack() as stack:
        for office in offices:
            await stack.enter_async_context(office.lw)
            await stack.enter_async_context(office.lw.worker())
        jobs = await first.lw.submit_many(first.report, range(FLOWS))
        for job in jobs:
            await second.lw.send_event(job.id, "signed", 7)
        results: list[Any] = await asyncio.gather(*(job.result(60) for job in jobs))
        assert results == [[n * 10, n * 10 + 1, n * 10 + 2, n * 20 + 7, n * 10 + 5, 7] for n in range(FLOWS)]
        assert sorted(done) == [(n, part) for n in range(FLOWS) for part in range(6)]
        nodes = await second.lw.store.tree(jobs[0].id)
        assert {node.state for node in nodes} == {State.SUCCEEDED}
        assert await first.lw.store.check() == []
