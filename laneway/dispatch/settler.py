"""Writes outcomes, whatever has gathered when it is told to, together. Nothing is announced before its commit.

The dispatcher tells it, once a round and just before it claims: so both reach the store's writer at the same moment and
share a commit. Written as soon as something is there, each batch of tasks would have two.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from math import inf

from laneway.clock import Clock
from laneway.errors import StoreError
from laneway.store.interface import Store
from laneway.task import Claimed, Settlement

PATIENCE_S = 30.0  # how long a store that refuses to write is asked again, with paid answers in our hands

log = logging.getLogger(__name__)
Batch = Sequence[tuple[Claimed, Settlement]]
Settled = Callable[[Batch, Sequence[bool]], None]  # what was written together, and which of it was accepted


class Settler:
    def __init__(
        self, store: Store, worker: str, clock: Clock, announce: Settled, patience: float = PATIENCE_S
    ) -> None:
        """``patience``: seconds for which a store is asked again that does not write."""
        self._store = store
        self._worker = worker
        self._clock = clock
        self._announce = announce
        self._gathered: list[tuple[Claimed, Settlement]] = []
        self._writing: set[asyncio.Task[None]] = set()
        self._patience = patience
        self._give_up_at = inf
        self._refused = False  # the store does not write: what comes meanwhile gathers
        self.failed: StoreError | None = None  # the store is lost; what is unwritten will be paid again

    @property
    def pending(self) -> bool:
        return bool(self._gathered) or not all(one.done() for one in self._writing)

    def add(self, task: Claimed, settlement: Settlement) -> None:
        self._gathered.append((task, settlement))

    def hurry(self) -> None:
        """This process is to end: no more than the usual patience from now on."""
        self._give_up_at = min(self._give_up_at, self._clock.now() + PATIENCE_S)

    def begin(self) -> None:
        """Hand what has gathered to the store."""
        if self._gathered and not self._refused:
            batch, self._gathered = self._gathered, []
            writing = asyncio.get_running_loop().create_task(self._finish(batch, self._settle(batch)))
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)

    async def drained(self) -> None:
        """Return when everything that was added is written, or the store is lost."""
        while self.pending and self.failed is None:
            self.begin()
            if self._writing:
                await asyncio.wait(self._writing)

    def _settle(self, batch: Batch) -> Awaitable[list[bool]]:
        return self._store.settle(self._worker, [settlement for _, settlement in batch], self._clock.now())

    async def _finish(self, batch: Batch, writing: Awaitable[list[bool]]) -> None:
        accepted = await self._insist(batch, writing)
        if accepted is not None:
            self._announce(batch, accepted)

    async def _insist(self, batch: Batch, writing: Awaitable[list[bool]]) -> list[bool] | None:
        give_up_at = self._clock.now() + self._patience
        pause = 0.1
        while True:
            try:
                accepted = await writing
            except StoreError as error:
                self._refused = True
                if self._clock.now() + pause > min(give_up_at, self._give_up_at):
                    self.failed = error
                    return None
                log.warning("%s; %d answers wait to be written", error.message, len(batch))
            else:
                self._refused = False
                return accepted
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)
            writing = self._settle(batch)
