"""What a worker goes by of the fleet's limits: asks for its parts of all accounts and lanes in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from laneway.clock import Clock
from laneway.store.grants import ByUrgency, Capacity, Demand, Grant
from laneway.store.interface import Store


class Want(NamedTuple):
    """What a worker could use of one resource now."""

    capacity: Capacity
    calls: ByUrgency
    in_flight: int = 0
    made: int = 0  # calls, since the worker began


class Shares:
    """``apply``: put a grant into force. When it returns, the worker goes by it, and by the share that it returns:
    still the larger one where calls that took more than there was have to be paid back by it."""

    def __init__(
        self, store: Store, worker: str, clock: Clock, lease: float, apply: Callable[[str, Grant], float]
    ) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._lease = lease
        self._apply = apply
        self._grants: dict[str, Grant] = {}
        self._told: dict[str, int] = {}  # calls that the store knows of

    async def renew(self, wants: Mapping[str, Want]) -> None:
        """Ask for these. A part that turns out smaller is let go of at once, once the worker goes by the new one: until
        the store hears of that, nobody else gets it."""
        if not wants:
            return
        before = {name: self._held(name) for name in wants}
        await self._ask(wants)
        if any(_is_less(self._grants[name], grant) for name, grant in before.items()):
            await self._ask(wants)

    def over(self, name: str) -> bool:
        """Whether it had a part of it whose time is over: others may have it by now."""
        grant = self._grants.get(name)
        return grant is not None and self._clock.now() >= grant.valid_until

    async def _ask(self, wants: Mapping[str, Want]) -> None:
        asks = {name: (want.capacity, self._demand(name, want)) for name, want in wants.items()}
        grants = await self._store.renew_grants(self._worker, asks, self._clock.now(), self._lease)
        for name, grant in grants.items():
            self._told[name] = wants[name].made
            self._grants[name] = grant._replace(share=self._apply(name, grant))

    def _demand(self, name: str, want: Want) -> Demand:
        held = self._held(name)
        slots = max(held.slots or 0, want.in_flight)
        return Demand(want.calls, held.share, slots, max(0, want.made - self._told.get(name, 0)))

    def _held(self, name: str) -> Grant:
        """What it goes by now. Others may have it from the moment on at which the grant ended."""
        grant = self._grants.get(name)
        if grant is None:
            return NONE
        return grant if self._clock.now() < grant.valid_until else grant._replace(share=0.0, slots=0)


NONE = Grant(0.0, 0, 0.0)


def _is_less(new: Grant, old: Grant) -> bool:
    return new.share < old.share or (new.slots or 0) < (old.slots or 0)
