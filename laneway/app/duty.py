"""Work that one worker of a store does for all of them: whoever holds the duty's single slot."""

from __future__ import annotations

from laneway.clock import Clock
from laneway.store.grants import Capacity, Demand
from laneway.store.interface import Store

LEASE_S = 5.0
RENEW_S = 1.0
STAYS = 1e6  # so much more than anybody else does its holder ask for it: no turns are taken


class Duty:
    """A grant with one slot, renewed while it is asked for. It passes on when its holder leaves, dies or stalls, so two
    may hold it for a moment after a stall: what is done under it must bear being done twice."""

    def __init__(self, store: Store, name: str, worker: str, clock: Clock) -> None:
        self._store = store
        self._name = f"duty:{name}"
        self._worker = worker
        self._clock = clock
        self._holds_until = 0.0
        self._ask_at = 0.0

    async def held(self) -> bool:
        """Whether this worker has the duty now. Asks the store at most once a second."""
        now = self._clock.now()
        if now >= self._ask_at:
            held = now < self._holds_until
            demand = Demand((0.0, 0.0, STAYS if held else 1.0, 0.0), slots=int(held))
            grants = await self._store.renew_grants(self._worker, {self._name: (Capacity(1), demand)}, now, LEASE_S)
            grant = grants[self._name]
            self._holds_until = grant.valid_until if grant.slots else 0.0
            self._ask_at = now + RENEW_S
        return now < self._holds_until
