"""The display on a terminal: lanes, accounts, cost and time left. Looks at the run four times a second; holds no
state."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from laneway.cli.report import duration, money
from laneway.task import State

if TYPE_CHECKING:
    from laneway.app.runs.batch import Batch

EVERY_S = 0.25
BAR = 24  # characters


@asynccontextmanager
async def shown(batch: Batch) -> AsyncIterator[None]:
    """Show a batch's progress on stderr while the block runs."""
    console = Console(stderr=True)
    with Live(Text("reading"), console=console, refresh_per_second=1 / EVERY_S, transient=True) as live:
        watching = asyncio.create_task(_watch(batch, live))
        with _warnings_above():
            try:
                yield
            finally:
                watching.cancel()


@contextmanager
def _warnings_above() -> Iterator[None]:
    """What is logged meanwhile goes through the display, which puts it above itself; else it would draw over it."""
    moved = [
        (handler, handler.setStream(sys.stderr))  # the display's own, which it has put there
        for handler in logging.getLogger("laneway").handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    try:
        yield
    finally:
        for handler, stream in moved:
            if stream is not None:
                handler.setStream(stream)


async def _watch(batch: Batch, live: Live) -> None:
    while True:
        live.update(await picture(batch))
        await asyncio.sleep(EVERY_S)


async def picture(batch: Batch) -> Group:
    """What is shown at this moment."""
    progress = batch.progress
    if progress.engine is None or progress.run is None:
        return Group(Text(f"reading: {progress.read:,} tasks"))
    tally = await batch.store.tally(progress.run.id)
    lanes: dict[str, dict[State, int]] = {}
    for cell in tally:
        lane = lanes.setdefault(cell.lane, {})
        for state, n in cell.counts.items():
            lane[state] = lane.get(state, 0) + n
    total = sum(sum(counts.values()) for counts in lanes.values())
    ended = sum(n for counts in lanes.values() for state, n in counts.items() if state.ended)
    now = batch.now()
    ran = now - progress.started_at
    run = await batch.store.get_run(progress.run.id)
    left = (total - ended) * ran / (ended - progress.ended_before) if ended > progress.ended_before else None
    head = Text(f"{_bar(ended / total if total else 0)} {ended:,} of {total:,}   {duration(ran)}")
    head.append(f"   {money(run.spent)} so far")
    held = {str(pause) for pause in await batch.store.pauses() if pause.since is not None}
    if f"run {run.id}" in held:
        head.append(f"   paused: laneway resume run {run.id}", style="yellow")
    elif left is not None and progress.phase == "running" and not (held and progress.engine.dispatcher.in_flight == 0):
        head.append(f"   about {duration(left)} left")
    return Group(head, _lanes(lanes, held), _accounts(batch, now))


def _bar(share: float) -> str:
    full = round(share * BAR)
    return "━" * full + "╌" * (BAR - full)


def _lanes(lanes: dict[str, dict[State, int]], held: set[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("lane")
    for name in ("waiting", "running", "done", "failed"):
        table.add_column(name, justify="right")
    for lane, counts in sorted(lanes.items()):
        waiting = sum(counts.get(state, 0) for state in (State.TRIAGING, State.READY, State.WAITING))
        failed = counts.get(State.FAILED, 0)
        cells = (waiting, counts.get(State.RUNNING, 0), counts.get(State.SUCCEEDED, 0))
        shown = Text(lane)
        if f"lane {lane}" in held:
            shown.append(" (paused)", style="yellow")
        table.add_row(shown, *(f"{n:,}" for n in cells), Text(f"{failed:,}", style="red" if failed else ""))
    return table


def _accounts(batch: Batch, now: float) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    assert batch.progress.engine is not None
    desks = batch.progress.engine.desks
    for desk in desks:
        if desks.held(desk.name):
            said = Text(f"paused: laneway resume account {desk.name}", style="yellow")
        elif desk.paused:
            said = Text(f"paused: {desk.paused}", style="red")
        elif not desk.breaker.closed:
            said = Text("does not answer; one call at a time looks whether it is back", style="yellow")
        else:
            used = ", ".join(f"{name} {share:.0%}" for name, share in desk.use(now).items())
            said = Text(f"{desk.in_flight:,} in flight   {used}")
        table.add_row(f"account {desk.name}", said)
    return table
