"""Telling browsers that something has changed: one look at the store for all of them, and only while one is there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from laneway.errors import LanewayError
from laneway.server.envelopes import Refusal

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

LOOK_S = 1.0
LEAST_REST = 20  # times as long as a look took: a large store is not asked all the time
MOST_LISTENERS = 500  # in this process
ANYHOW_S = 5.0  # ages and shares move on though nothing happened
MESSAGE = b"event: changed\ndata: now\n\n"


class Changes:
    """``ending``: set when the server ends, which would else wait for its listeners."""

    def __init__(self, lw: Laneway, ending: asyncio.Event) -> None:
        self._lw = lw
        self._ending = ending
        self._listeners: set[asyncio.Event] = set()
        self._looking: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises Refusal."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise Refusal(429, "too many pages are open already", again=True)

    async def stream(self) -> AsyncIterator[bytes]:
        """Server-sent events, until the listener leaves or the server ends."""
        changed = asyncio.Event()
        self._listeners.add(changed)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield b": here\n\n"
            while not self._ending.is_set():
                await self._next(changed)
                changed.clear()
                yield MESSAGE
        finally:
            self._listeners.discard(changed)
            if not self._listeners and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _next(self, changed: asyncio.Event) -> None:
        """Whichever comes first: a change, the end, or the time for another look at what is only older."""
        waits = [asyncio.create_task(event.wait()) for event in (changed, self._ending)]
        try:
            await asyncio.wait(waits, timeout=ANYHOW_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _look(self) -> None:
        known: object = None
        while True:
            began = time.perf_counter()
            with contextlib.suppress(LanewayError):  # a store that is away for a while says nothing
                found = await self._state()
                if found != known:
                    known = found
                    for listener in self._listeners:
                        listener.set()
            await asyncio.sleep(max(LOOK_S, LEAST_REST * (time.perf_counter() - began)))

    async def _state(self) -> object:
        """Changes with whatever pages show."""
        store = self._lw.store
        counts = {depth[:3]: depth.counts for depth in await store.depths()}
        return await store.last_result(), counts, await store.pauses()
