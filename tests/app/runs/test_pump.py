"""Results are written while a run goes on."""

from __future__ import annotations

import asyncio
from typing import cast

from laneway.app.runs.batch import pump_until
from laneway.intake.results import ResultsWriter


class Slow:
    """A writer whose disk is slow."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.written = 0

    async def pump(self) -> int:
        self.begun.set()
        await self.may_end.wait()
        self.written += 1
        return 1


async def test_a_run_that_ends_lets_the_writer_finish_what_it_writes() -> None:
    """Broken off between the file and its cursor, the same results would be written once more."""
    writer, ended = Slow(), asyncio.Event()
    pumping = asyncio.create_task(pump_until(ended, cast("ResultsWriter", writer), every=0.0))
    await writer.begun.wait()
    ended.set()
    await asyncio.wait([pumping], timeout=0)
    assert not pumping.done()
    writer.may_end.set()
    await pumping
    assert writer.written == 1


async def test_a_run_that_ends_between_two_writings_ends_the_pump() -> None:
    writer, ended = Slow(), asyncio.Event()
    ended.set()
    await pump_until(ended, cast("ResultsWriter", writer), every=60.0)
    assert writer.written == 0
