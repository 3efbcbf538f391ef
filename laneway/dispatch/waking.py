"""Waking tasks whose time has come, without asking the store in each of many rounds."""

from __future__ import annotations

from math import inf

from laneway.store.interface import Store

LOOK_S = 0.1  # after which waiting tasks of other processes are seen


class Waking:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._next_at: float | None = None  # when the next one's time comes, as far as is known
        self._look_at = -inf
        self._more = False

    def made_wait(self) -> None:
        """A task of this worker waits from now on."""
        self._more = True

    async def wake(self, now: float) -> float | None:
        """Wake those whose time has come; when the next one's comes."""
        if self._more or now >= self._look_at:
            self._more, self._look_at = False, now  # should it fail
            self._next_at = await self._store.wake(now)
            self._look_at = now + LOOK_S if self._next_at is None else min(now + LOOK_S, self._next_at)
        return self._next_at
