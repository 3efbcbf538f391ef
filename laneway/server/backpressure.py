"""How much is taken in: no more tasks wait than the queue may hold, and nobody has more done than their budget allows.
What is beyond is refused before it is accepted, with the time after which it may go well."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from laneway.errors import StoreError
from laneway.server.caller import Caller
from laneway.server.envelopes import Refusal
from laneway.server.tokens.purses import Purses

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

FRESH_S = 0.5  # after which the queue is looked at again, beside the requests …
HOLDS_S = 2.0  # … and after which they wait for that
AGAIN_S = 0.1  # between looks while it is full
REMEMBERED_S = 60.0  # over which it is reckoned how fast tasks end
UNKNOWN_S = 30.0  # after which to come again, where none have ended
LONGEST_S = 3600.0
Known = Callable[[], Awaitable[bool]]


class Gate:
    """One a server. What this process takes is counted as it comes; what others take is seen with the next look."""

    def __init__(self, lw: Laneway) -> None:
        self._lw = lw
        self._purses = Purses(lw)
        self._open = 0  # tasks that had not ended, at the last look
        self._taken = 0  # since it began, with those that were on their way in then
        self._entering = 0
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._ends: deque[tuple[float, int]] = deque()  # (when, how many had ended)

    @asynccontextmanager
    async def place(self, caller: Caller, n: int = 1, known: Known | None = None) -> AsyncIterator[None]:
        """Room for ``n`` tasks, which are submitted in the block. ``known``: whether they are in already, and are only
        asked for again. Raises Refusal."""
        if n > self._most:
            raise Refusal(400, f"{n:,} tasks are more than the queue holds ([server] max_queue = {self._most:,})")
        await self._purses.check(caller)
        await self._look(FRESH_S, HOLDS_S)
        if not self._has_room(n):
            await self._look(AGAIN_S, AGAIN_S)
            if not self._has_room(n) and (known is None or not await known()):
                raise await self._full(n)
        self._taken += n
        self._entering += n
        try:
            yield
        finally:
            self._entering -= n

    async def check_budget(self, caller: Caller) -> None:
        """For what is there already, and is to be done again. Raises Refusal."""
        await self._purses.check(caller)

    @property
    def _most(self) -> int:
        return self._lw.config.server.max_queue

    def _has_room(self, n: int) -> bool:
        return self._open + self._taken + n <= self._most

    async def _full(self, n: int) -> Refusal:
        now = self._lw.clock.now()
        full = f"{self._open + self._taken:,} tasks wait or run, and the queue holds {self._most:,}"
        lives = any(worker.lease_until > now for worker in await self._lw.store.workers(now))
        if not lives:
            message = f"{full}; no worker is there to do them"
            return Refusal(503, message, "server_error", "queue_full", again=True, retry_after=UNKNOWN_S)
        wait = self._wait(self._open + self._taken + n - self._most)
        return Refusal(429, full, "rate_limit_error", "queue_full", again=True, retry_after=wait)

    def _wait(self, places: int) -> float:
        """Seconds until so many tasks will have ended, as fast as they did lately; clients do not all come at once."""
        (then, before), (now, after) = self._ends[0], self._ends[-1]
        if after <= before:
            return UNKNOWN_S
        return min(LONGEST_S, places * (now - then) / (after - before) * random.uniform(1, 1.5))

    async def _look(self, fresh: float, holds: float) -> None:
        age = self._lw.clock.now() - self._looked_at
        if age < fresh:
            return
        if self._looking is None:
            self._looking = asyncio.create_task(self._read())
        if age >= holds:
            await asyncio.shield(self._looking)

    async def _read(self) -> None:
        now, on_their_way, before = self._lw.clock.now(), self._entering, self._taken
        try:
            backlog = await self._lw.store.backlog()
        except StoreError:
            return  # whoever submits hears of it
        finally:
            self._looking = None
        self._open, self._looked_at = backlog.open, now
        self._taken = on_their_way + self._taken - before
        self._ends.append((now, backlog.ended))
        while self._ends[0][0] < now - REMEMBERED_S and len(self._ends) > 2:
            self._ends.popleft()
