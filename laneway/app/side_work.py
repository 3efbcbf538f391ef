"""What a worker does besides its tasks: carry committed ones from outboxes, and tell callbacks of ended ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from laneway.app.duty import Duty

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.working import Working

PATIENCE_S = 30.0  # for callbacks that are under way when the worker ends


@asynccontextmanager
async def side_work(lw: Laneway, working: Working) -> AsyncIterator[None]:
    """For the length of the block; at its end, callbacks are told everything that has ended."""
    worker = working.name
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
            patience = asyncio.create_task(working.hurried(PATIENCE_S))
            told = asyncio.ensure_future(asyncio.wait(telling))
            either: list[asyncio.Future[Any]] = [told, patience]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for task in (patience, *telling):
                task.cancel()
        await asyncio.wait([relaying, *telling])
