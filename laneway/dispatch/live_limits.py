"""Limits that somebody set while work goes on: of lanes and accounts, kept in the store as states, heeded by every
worker. What is not set there is the config's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.providers.model import Account
from laneway.store.steering import PauseKind

if TYPE_CHECKING:
    from laneway.dispatch.desks import Desks
    from laneway.dispatch.order import Order
    from laneway.store.interface import Store

STATE = "limits:"  # of "limits:lane:NAME" and "limits:account:NAME"
EVERY_S = 0.5  # how often a worker looks
RATES = (
    "requests_per_second",
    "requests_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "tokens_per_minute",
)
Saved = Mapping[str, tuple[Mapping[str, Any], float]]  # states, by what their names have behind ``STATE``


class LiveLimits(NamedTuple):
    """What is set of one lane or account, by the limits' names in the config. ``by``: who set it last."""

    kind: PauseKind
    name: str
    values: Mapping[str, float]
    by: str
    at: float

    @property
    def concurrency(self) -> int | None:
        value = self.values.get("concurrency")
        return None if value is None else int(value)

    @property
    def weight(self) -> float | None:
        return self.values.get("weight")

    def of(self, account: Account) -> Account:
        """The account with these instead of the config's."""
        rates = {name: self.values[name] for name in RATES if name in self.values}
        concurrency = account.limits.concurrency if self.concurrency is None else self.concurrency
        weight = account.weight if self.weight is None else self.weight
        return replace(account, limits=replace(account.limits, concurrency=concurrency, **rates), weight=weight)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind.value, "name": self.name, **self.values, "set_by": self.by, "set_at": self.at}


def live_limits(states: Saved) -> list[LiveLimits]:
    """What is set, by kind and name. ``states``: those whose names begin with ``STATE``."""
    found = []
    for place, (state, _) in sorted(states.items()):
        kind, _, name = place.partition(":")
        known = {"concurrency", "weight", *RATES}
        values = {key: value for key, value in state.items() if key in known and isinstance(value, int | float)}
        if values and kind in (PauseKind.LANE, PauseKind.ACCOUNT):
            said = str(state.get("by") or ""), float(state.get("at") or 0.0)
            found.append(LiveLimits(PauseKind(kind), name, values, *said))
    return found


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
