"""Going by limits that somebody set while work goes on (``store/live_limits.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from laneway.providers.model import Account
from laneway.store.live_limits import RATES, STATE, LiveLimits, live_limits
from laneway.store.steering import PauseKind

if TYPE_CHECKING:
    from laneway.dispatch.desks import Desks
    from laneway.dispatch.order import Order
    from laneway.store.interface import Store

EVERY_S = 0.5  # how often a worker looks


def limited(account: Account, to: LiveLimits) -> Account:
    """The account with these limits instead of the config's."""
    rates = {name: to.values[name] for name in RATES if name in to.values}
    concurrency = account.limits.concurrency if to.concurrency is None else to.concurrency
    weight = account.weight if to.weight is None else to.weight
    return replace(account, limits=replace(account.limits, concurrency=concurrency, **rates), weight=weight)


class SetLimits:
    """Has a worker go by them. ``weights``: the lanes', as configured."""

    def __init__(self, store: Store, desks: Desks, order: Order, weights: Mapping[str, float]) -> None:
        self._store, self._desks, self._order = store, desks, order
        self._weights = dict(weights)
        self._known: list[LiveLimits] = []
        self._look_at = 0.0

    async def obey(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + EVERY_S
        found = live_limits(await self._store.states(STATE))
        if found == self._known:
            return
        self._known = found
        weights = {one.name: one.weight for one in found if one.kind is PauseKind.LANE and one.weight is not None}
        self._order.weigh({**self._weights, **weights})
        await self._desks.obey(found, now)
