"""A worker: joined to the store, heart beating, taking over from the dead, and its dispatcher."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from types import TracebackType

from laneway.clock import Clock
from laneway.dispatch.desks import Desks
from laneway.dispatch.dispatcher import Dispatcher
from laneway.dispatch.ending import Stop, StopReason
from laneway.dispatch.heart import INTERVAL_S, LEASE_S, Heart, Lease
from laneway.dispatch.pauses import DRAIN
from laneway.dispatch.pruning import keep_pruned
from laneway.dispatch.telling import Telling
from laneway.errors import StoreError
from laneway.store.interface import Store

SOON_S = 0.5  # at least between two renewals of this worker's parts

log = logging.getLogger(__name__)


class Worker:
    """An async context: joins on entry, leaves on exit. ``dispatcher.run()`` does the work in between."""

    def __init__(
        self,
        store: Store,
        name: str,
        clock: Clock,
        desks: Desks,
        dispatcher: Dispatcher,
        *,
        keep: float | None = None,
    ) -> None:
        """``keep``: seconds for which the content of ended tasks is kept; None: for good."""
        self.name = name
        self.dispatcher = dispatcher
        self._store = store
        self._clock = clock
        self._desks = desks
        self._keep = keep
        self._lease = Lease(clock.now())
        self._heart: Heart | None = None
        self._telling = Telling(store, name, clock, desks, dispatcher)
        self._tells: asyncio.Task[None] | None = None
        self._pruning: asyncio.Task[None] | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._rejoining: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Worker:
        self._lease = lease = Lease(self._clock.now())
        self._desks.lease_until = lambda: lease.held_until
        await self._store.join(self.name, LEASE_S, self._clock.now())
        await self._reap()
        self._heart = Heart(self._store, self.name, self._clock, self._lost, lease)
        self._housekeeping = asyncio.get_running_loop().create_task(self._keep_house())
        self._tells = asyncio.get_running_loop().create_task(self._telling.run())
        if self._keep is not None:
            pruning = keep_pruned(self._store, self._clock, self._keep)
            self._pruning = asyncio.get_running_loop().create_task(pruning)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._housekeeping, self._pruning, self._rejoining, self._tells):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self._heart is not None:
            await asyncio.to_thread(self._heart.stop)
        await self._telling.tell(last=True)
        try:
            await self._desks.renew(self._clock.now())
            await self._store.leave(self.name, self._clock.now())
        except StoreError as error:
            log.warning("could not leave the store in order: %s", error.message)

    def vital(self) -> tuple[float, float, float]:
        """Seconds: how long the lease still holds; the ages of the last heartbeat and of the event loop's last tick."""
        now = self._clock.now()
        tick = 0.0 if self._heart is None else self._heart.tick_age()
        return self._lease.held_until - now, now - self._lease.kept_at, tick

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(SOON_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._desks.hurry.wait(), INTERVAL_S - SOON_S)
            try:
                await self._desks.renew(self._clock.now())
                await self._reap()
                await self._heed_drain()
            except StoreError as error:
                log.warning("housekeeping: %s", error.message)
            self.dispatcher.poke()

    async def _heed_drain(self) -> None:
        """Somebody, on whichever machine, told this worker to end."""
        if not self.dispatcher.draining and (found := await self._store.load_state(f"{DRAIN}{self.name}")):
            log.info("drained by %s: nothing new begins here", found[0].get("by"))
            self.dispatcher.drain(Stop(StopReason.DRAINED, "somebody told this worker to end"))

    async def take_over(self) -> None:
        """Now, not at the next look: somebody knows that a worker has died."""
        try:
            await self._reap()
        except StoreError as error:
            log.warning("could not take over: %s", error.message)
        self.dispatcher.poke()

    async def _reap(self) -> None:
        if not self._lease.steady(self._clock.now()):
            return
        reaped = await self._store.reap(self.name, self._clock.now())
        if reaped.workers:
            log.warning(
                "took over from %d dead worker(s): %d task(s) queued again, %d given up, %d called off",
                len(reaped.workers),
                reaped.returned,
                reaped.poisoned,
                reaped.called_off,
            )

    def _lost(self) -> None:
        """Others took this worker for dead and have its tasks; its late answers will be refused. Join anew."""
        log.warning("the lease was lost; joining again")
        self._rejoining = asyncio.get_running_loop().create_task(self._join_again())

    async def _join_again(self) -> None:
        try:
            now = self._clock.now()
            await self._store.join(self.name, LEASE_S, now)
            self._lease.kept(now, self._clock.now())
        except StoreError as error:
            log.warning("could not join again: %s", error.message)
