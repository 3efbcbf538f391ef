"""One worker process from its start to its end, and what it tells others meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from laneway.app.renewing import Shift
from laneway.app.settings import sqlite_path
from laneway.cli.common import print_json
from laneway.cli.orders import Orders, parents_line
from laneway.cli.systemd import ServiceManager
from laneway.dispatch.ending import StopReason
from laneway.errors import StoreError
from laneway.server.health import Health, health_endpoint

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

INTERRUPTED, LEFT = 130, 3  # exit codes: after Ctrl-C; work was broken off
REPORT_S = 0.5  # between two words to the parent
AFTERWARDS_S = 15.0  # beyond the time of grace, for the last writes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    app: str | None
    lanes: frozenset[str] | None
    processes: int
    grace: float
    health: tuple[str, int] | None
    store: str
    as_json: bool


class Public:
    """What the world is told of a worker, of one process or several: a line when it is ready and one when it drains,
    the health endpoint, systemd."""

    def __init__(self, wanted: Wanted, look: Callable[[], Health | None], lw: Laneway) -> None:
        """``lw``: whose store the metrics are read from."""
        self._wanted = wanted
        self._look = look
        self._lw = lw
        self._url: str | None = None
        self._manager = ServiceManager(os.environ)
        self._watching: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[Public]:
        async with contextlib.AsyncExitStack() as stack:
            if self._wanted.health is not None:
                self._url = await stack.enter_async_context(self._endpoint(self._wanted.health))
            try:
                yield self
            finally:
                if self._watching is not None:
                    self._watching.cancel()

    def _endpoint(self, place: tuple[str, int]) -> AbstractAsyncContextManager[str]:
        try:
            from laneway.server.exposition import for_worker
        except ImportError:
            return health_endpoint(place, self._look)
        return health_endpoint(place, self._look, for_worker(self._lw, self._look))

    def ready(self, name: str) -> None:
        wanted = self._wanted
        facts: dict[str, Any] = {
            "worker": name,
            "store": store_name(wanted.store),
            "app": wanted.app,
            "lanes": sorted(wanted.lanes) if wanted.lanes else None,
            "processes": wanted.processes,
            "health": self._url,
        }
        shown = {key: ",".join(fact) if isinstance(fact, list) else fact for key, fact in facts.items() if fact}
        log.info("ready", extra={"fields": shown})
        if wanted.as_json:
            print_json({**facts, "pid": os.getpid()})
        self._manager.ready("at work")
        self._watching = asyncio.create_task(self._manager.keep_watched(self._is_well))

    def draining(self) -> None:
        health = self._look()
        said = "draining: what is in flight has %g s to finish; once more to break off"
        log.info(said, self._wanted.grace, extra={"fields": {"in_flight": health.in_flight if health else 0}})
        self._manager.stopping("draining", self._wanted.grace + AFTERWARDS_S)

    def _is_well(self) -> bool:
        health = self._look()
        return health is None or health.lives


def store_name(url: str) -> str:
    """For people: a path as it is seen from here; a server without password and parameters."""
    path = sqlite_path(url)
    if path is not None:
        path = path.resolve()
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    parts = urlsplit(url)
    who, at, hosts = parts.netloc.rpartition("@")  # there may be several, each with a port
    return f"{parts.scheme}://{who.partition(':')[0]}{at}{hosts}{parts.path}"


def exit_code(*, by_ctrl_c: bool, left: bool) -> int:
    return INTERRUPTED if by_ctrl_c else LEFT if left else 0


async def work(lw: Laneway, wanted: Wanted, *, is_child: bool) -> int:
    """Until a signal, or the parent's word, and the drain after it. Returns the exit code. Raises StoreError when the
    worker ends by itself."""
    working = Shift(lw, lanes=wanted.lanes, grace=wanted.grace)

    async def reload() -> None:
        await working.renew(lw.reread)

    orders = Orders(reload)
    orders.heed_signals()

    def look() -> Health | None:
        if working.working is None:
            return None
        return Health(orders.drain.is_set() or working.draining, *working.vital(), working.in_flight)

    try:
        async with child_of(orders, look) if is_child else Public(wanted, look, lw).answering() as told:
            async with working:
                told.ready(working.name)
                await _until_told(orders, working)
                told.draining()
                breaking = asyncio.create_task(_break_off(orders, working))
            breaking.cancel()
    finally:
        await lw.close()
    if working.left:
        log.warning("broke off %d task(s); they are queued again", working.left)
    return exit_code(by_ctrl_c=orders.by_ctrl_c, left=bool(working.left))


async def _until_told(orders: Orders, working: Shift) -> None:
    told, ended = asyncio.ensure_future(orders.drain.wait()), asyncio.ensure_future(working.ended())
    await asyncio.wait([told, ended], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if ended.done() and ended.result().reason is not StopReason.DRAINED:
        raise StoreError(ended.result().message, hint="start the worker again")
    ended.cancel()


async def _break_off(orders: Orders, working: Shift) -> None:
    await orders.break_off.wait()
    working.break_off()


class ForParent:
    """A child tells its parent time and again how it stands; the parent speaks for all."""

    def __init__(self, line: asyncio.StreamWriter, look: Callable[[], Health | None]) -> None:
        self._line = line
        self._look = look

    def ready(self, _name: str) -> None:
        self.report()

    def draining(self) -> None:
        self.report()

    def report(self) -> None:
        if health := self._look():
            self._line.write(orjson.dumps(dataclasses.asdict(health)) + b"\n")

    async def keep_reporting(self) -> None:
        while True:
            self.report()
            await asyncio.sleep(REPORT_S)


@asynccontextmanager
async def child_of(orders: Orders, look: Callable[[], Health | None]) -> AsyncIterator[ForParent]:
    """The line to the parent, for the length of the block."""
    said, line = await parents_line()
    told = ForParent(line, look)
    tasks = [asyncio.create_task(orders.heed(said)), asyncio.create_task(told.keep_reporting())]
    try:
        yield told
    finally:
        for task in tasks:
            task.cancel()
        line.close()
