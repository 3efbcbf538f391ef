"""Taking content away after its time, a little at once, while the work goes on."""

from __future__ import annotations

import asyncio
import logging

from laneway.clock import Clock
from laneway.errors import StoreError
from laneway.store.interface import Store

EVERY_S = 600.0
PAUSE_S = 0.02  # between batches, so that settlements come first

log = logging.getLogger(__name__)


async def keep_pruned(store: Store, clock: Clock, keep: float) -> None:
    """Prune tasks that ended more than ``keep`` seconds ago, now and ever again, until cancelled."""
    every = min(EVERY_S, max(1.0, keep / 4))
    while True:
        try:
            await _sweep(store, clock.now() - keep)
        except StoreError as error:
            log.warning("pruning: %s", error.message)
        await asyncio.sleep(every)


async def _sweep(store: Store, before: float) -> None:
    tasks = 0
    at: int | None = 0
    while at is not None:
        done = await store.prune(before, after=at)
        tasks += done.tasks
        at = done.cursor
        await asyncio.sleep(PAUSE_S)
    files = await store.drop_uploads(before)
    if tasks or files:
        await store.scrub(shrink=False)
        log.info("took away the content of %d task(s) and %d file(s), older than is kept", tasks, files)
