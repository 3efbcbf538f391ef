"""What a worker tells of its work while it works: figures by time, and what it says of itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

from laneway.clock import Clock
from laneway.errors import StoreError
from laneway.store.interface import Store
from laneway.store.tallies import Tally

if TYPE_CHECKING:
    from laneway.dispatch.desks import Desks
    from laneway.dispatch.dispatcher import Dispatcher

EVERY_S = 2.0
MOST_LATE = 20_000  # lines of figures that wait for a store which is away; the oldest are let go

log = logging.getLogger(__name__)


class Telling:
    """Nothing waits for it, and nothing that it tells decides anything: what a kill takes with it are seconds."""

    def __init__(self, store: Store, worker: str, clock: Clock, desks: Desks, dispatcher: Dispatcher) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._desks = desks
        self._dispatcher = dispatcher
        self._late: list[Tally] = []
        self._said: Mapping[str, Any] = {}
        self._used = (time.process_time(), time.monotonic())

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.tell()

    async def tell(self, *, last: bool = False) -> None:
        """``last``: the worker leaves, and says nothing more of itself."""
        now = self._clock.now()
        tallies = [*self._late, *self._dispatcher.tallies.take(now)]
        said: list[Awaitable[None]] = [self._store.add_tallies(tallies, now)] if tallies else []
        if not last and (facts := self._facts(now)) != self._said:
            self._said = facts
            said.append(self._store.describe_worker(self._worker, facts, now))
        try:
            await asyncio.gather(*said)  # in one commit, where the store can
        except StoreError as error:
            log.debug("figures wait: %s", error.message)
            self._late, self._said = tallies[-MOST_LATE:], {}
        else:
            self._late = []

    def _facts(self, now: float) -> Mapping[str, Any]:
        desks = list(self._desks)
        slots = [desk.concurrency for desk in desks]
        most = self._dispatcher.max_in_flight
        if slots and None not in slots:
            most = min(most, sum(filter(None, slots)))
        return {
            "most": most,
            "draining": self._dispatcher.draining,
            "binds": self._dispatcher.watch.by or None,
            "cpu": self._cpu(),
            "accounts": {
                desk.name: {
                    "in_flight": desk.in_flight,
                    "use": {limit: round(share, 2) for limit, share in desk.use(now).items()},
                }
                for desk in desks
            },
        }

    def _cpu(self) -> float:
        """Of a core, since it was asked last."""
        before, self._used = self._used, (time.process_time(), time.monotonic())
        return round((self._used[0] - before[0]) / max(0.001, self._used[1] - before[1]), 1)
