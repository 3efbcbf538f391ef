"""What a worker does besides its tasks: carry committed ones from outboxes, and tell callbacks of ended ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from laneway.app.duty import Duty

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

PATIENCE_S = 30.0  # for callbacks that are under way when the worker ends


@asynccontextmanager
async def side_work(lw: Laneway, worker: str) -> AsyncIterator[None]:
    """For the length of the block; at its end, callbacks are told everything that has ended."""
    deliveries = await lw.callbacks.begin(lw.store, worker, lw.clock, lw.preparing.value)
    relaying = asyncio.create_task(lw.relay.run(Duty(lw.store, "outbox", worker, lw.clock)))
    telling = [asyncio.create_task(delivery.run()) for delivery in deliveries]
    try:
        yield
    finally:
        relaying.cancel()
        for delivery in deliveries:
            delivery.stop()
        if telling:
            _, late = await asyncio.wait(telling, timeout=PATIENCE_S)
            for task in late:
                task.cancel()
        await asyncio.wait([relaying, *telling])
