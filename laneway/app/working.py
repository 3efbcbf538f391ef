"""A worker at work, for whoever started it: how it stands, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.dispatch.ending import Stop

if TYPE_CHECKING:
    from laneway.app.engine import Engine

LAST_S = 5.0  # for what was broken off: tasks of Python may hold on, and the store may be away

log = logging.getLogger(__name__)


class Vital(NamedTuple):
    """Signs of life, in seconds: how long the lease still holds, how old the last heartbeat that the store took and the
    last tick of the event loop are."""

    lease_s: float
    heartbeat_age_s: float
    tick_age_s: float


class Working:
    """What ``async with lw.worker() as working`` gives."""

    def __init__(self, running: Engine, grace: float | None) -> None:
        self._running = running
        self._grace = grace
        self._broken_off = asyncio.Event()
        self._work: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self.left = 0  # tasks that were broken off

    def begin(self) -> None:
        self._work = asyncio.get_running_loop().create_task(self._running.dispatcher.run())

    @property
    def name(self) -> str:
        return self._running.worker.name

    @property
    def in_flight(self) -> int:
        return self._running.dispatcher.in_flight

    @property
    def draining(self) -> bool:
        return self._running.dispatcher.draining

    def vital(self) -> Vital:
        return Vital(*self._running.worker.vital())

    def drain(self) -> None:
        """Start nothing more. The block's end waits for what is in flight."""
        self._running.dispatcher.drain()

    def break_off(self) -> None:
        """Let the block's end wait no longer: what is in flight goes back to the queue."""
        self.drain()
        self._broken_off.set()

    def take_time(self) -> None:
        """Let the block's end wait for what is in flight, however long that takes."""
        self._grace = None

    async def ended(self) -> Stop:
        """When it stops by itself, which is a fault of ours unless somebody drained it, or after ``drain``."""
        return await asyncio.shield(self._work)

    async def finish(self) -> None:
        """Drain; after the time of grace, or when it is broken off, give back what is in flight."""
        self.drain()
        breaking = asyncio.ensure_future(self._broken_off.wait())
        either: list[asyncio.Future[Any]] = [self._work, breaking]
        await asyncio.wait(either, timeout=self._grace, return_when=asyncio.FIRST_COMPLETED)
        breaking.cancel()
        if not self._work.done():
            self._broken_off.set()
            await self._give_up()
        if not self._work.cancelled():
            self._work.result()

    async def hurried(self, patience: float) -> None:
        """Return after ``patience`` seconds, or as soon as the rest is broken off."""
        try:
            async with asyncio.timeout(patience):
                await self._broken_off.wait()
        except TimeoutError:
            pass

    async def _give_up(self) -> None:
        self.left = self.in_flight
        self._running.dispatcher.abort()
        await asyncio.wait([self._work], timeout=LAST_S)
        if not self._work.done():
            log.warning("some of what was broken off does not end: it is left")
            self._work.cancel()
            await asyncio.wait([self._work])
