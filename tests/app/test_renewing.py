"""A new config while at work: the worker that goes by it, and the one that it takes over from, in one process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from laneway import Laneway, TaskCancelled
from laneway.app.renewing import Shift, changed
from laneway.config.load import load
from laneway.config.models import Config


class Files:
    """A config in a folder, as it is now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.write("")

    def write(self, text: str) -> None:
        (self._folder / "laneway.toml").write_text(text)

    def read(self) -> Config:
        return load([], env={}, cwd=self._folder)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
async def lw(tmp_path: Path, files: Files) -> AsyncIterator[Laneway]:
    made = Laneway(files.read(), store=f"sqlite:///{tmp_path}/s.db", env={})
    yield made
    await made.close()


Gates = dict[str, asyncio.Event]


def gated(lw: Laneway) -> tuple[Callable[[str], asyncio.Event], list[str], Any]:
    """A task that waits for its gate; who has begun."""
    gates: Gates = {}
    begun: list[str] = []

    def gate(name: str) -> asyncio.Event:
        return gates.setdefault(name, asyncio.Event())

    @lw.task
    async def wait(name: str) -> str:
        begun.append(name)
        gate(f"{name} has begun").set()
        await gate(name).wait()
        return f"through {name}"

    return gate, begun, wait


async def test_what_is_in_flight_ends_with_the_worker_that_began_it(lw: Laneway, files: Files) -> None:
    gate, begun, _ = gated(lw)
    async with Shift(lw) as shift:
        old = shift.name
        first = await lw.submit("wait", name="a")
        await gate("a has begun").wait()
        files.write("[lanes.night]\nconcurrency = 1")
        assert await shift.renew(files.read)
        assert shift.name != old
        assert lw.config.lanes["night"].concurrency == 1
        second = await lw.submit("wait", name="b")
        await gate("b has begun").wait()
        assert shift.in_flight == 2
        gate("a").set()
        assert await first.result(20) == "through a"
        gate("b").set()
        assert await second.result(20) == "through b"
    assert (begun, shift.left) == (["a", "b"], 0)


async def test_a_call_of_the_worker_before_can_be_called_off(lw: Laneway, files: Files) -> None:
    gate, _, _ = gated(lw)
    async with Shift(lw) as shift:
        job = await lw.submit("wait", name="a")
        await gate("a has begun").wait()
        assert await shift.renew(files.read)
        await lw.call_off(job.id)
        with pytest.raises(TaskCancelled):
            await job.result(20)


async def test_a_flow_goes_on_with_the_next_worker_and_no_step_is_done_twice(lw: Laneway, files: Files) -> None:
    gate, begun, wait = gated(lw)

    @lw.flow
    async def both() -> list[str]:
        return [await wait("a"), await wait("b")]

    async with Shift(lw) as shift:
        job = await lw.submit(both)
        await gate("a has begun").wait()
        assert await shift.renew(files.read)
        gate("a").set()
        await gate("b has begun").wait()
        assert await shift.renew(files.read)
        gate("b").set()
        assert await job.result(20) == ["through a", "through b"]
    assert begun == ["a", "b"]


async def test_a_refused_config_changes_nothing(lw: Laneway, files: Files, caplog: pytest.LogCaptureFixture) -> None:
    async with Shift(lw) as shift:
        before, config, catalog = shift.name, lw.config, lw.catalog
        for wrong in ("[lanes.night]\nconcurrency = 0", '[types.ask]\nprompt = "nowhere.j2"', "["):
            files.write(wrong)
            with caplog.at_level(logging.ERROR, "laneway"):
                assert not await shift.renew(files.read)
            assert (shift.name, lw.config, lw.catalog) == (before, config, catalog)
            assert "the new config is refused" in caplog.text
            caplog.clear()


async def test_without_a_worker_only_the_config_is_new(lw: Laneway, files: Files) -> None:
    async with Shift(lw, works=False) as shift:
        files.write('[defaults]\nlane = "night"')
        assert await shift.renew(files.read)
        assert (lw.config.defaults.lane, shift.working, shift.in_flight) == ("night", None, 0)


def test_what_changed_is_named(files: Files) -> None:
    files.write("[lanes.a]\nweight = 1\n[lanes.b]\nweight = 1")
    before = files.read()
    files.write('keep = "30d"\n[lanes.a]\nweight = 2\n[lanes.c]\n[server]\nmax_queue = 5')
    assert changed(before, files.read()) == ["keep", "lanes.a", "lanes.b", "lanes.c", "server.max_queue"]
