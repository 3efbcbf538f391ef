"""Writes outcomes, whatever has gathered while the last write ran together. Nothing is announced before its commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from laneway.clock import Clock
from laneway.errors import StoreError
from laneway.store.interface import Store
from laneway.task import Claimed, Settlement

PATIENCE_S = 30.0  # how long a store that refuses to write is asked again, with paid answers in our hands

log = logging.getLogger(__name__)
Settled = Callable[[Claimed, Settlement, bool], None]  # (task, settlement, accepted)


class Settler:
    def __init__(self, store: Store, worker: str, clock: Clock, announce: Settled) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._announce = announce
        self._gathered: list[tuple[Claimed, Settlement]] = []
        self._writing: asyncio.Task[None] | None = None
        self.failed: StoreError | None = None  # the store is lost; what is unwritten will be paid again

    @property
    def pending(self) -> bool:
        return bool(self._gathered) or (self._writing is not None and not self._writing.done())

    def add(self, task: Claimed, settlement: Settlement) -> None:
        self._gathered.append((task, settlement))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def drained(self) -> None:
        """Return when everything that was added is written, or the store is lost."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        while self._gathered:
            batch, self._gathered = self._gathered, []
            accepted = await self._insist(batch)
            if accepted is None:
                return
            for (task, settlement), ok in zip(batch, accepted, strict=True):
                self._announce(task, settlement, ok)

    async def _insist(self, batch: list[tuple[Claimed, Settlement]]) -> list[bool] | None:
        settlements = [settlement for _, settlement in batch]
        give_up = self._clock.now() + PATIENCE_S
        pause = 0.1
        while True:
            try:
                return await self._store.settle(self._worker, settlements, self._clock.now())
            except StoreError as error:
                if self._clock.now() + pause > give_up:
                    self.failed = error
                    return None
                log.warning("%s; %d answers wait to be written", error.message, len(batch))
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)
