"""Limits of lanes and accounts that somebody set while work goes on, as they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from laneway.store.live_limits import RATES, STATE, LiveLimits, live_limits
from laneway.store.steering import PauseKind

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.store.interface import Store

SETTABLE: Mapping[PauseKind, tuple[str, ...]] = {
    PauseKind.LANE: ("concurrency", "weight"),
    PauseKind.ACCOUNT: ("concurrency", "weight", *RATES),
}


async def limits_set(store: Store) -> list[LiveLimits]:
    """What is set now, instead of the config's."""
    return live_limits(await store.states(STATE))


def configured_limits(config: Config, kind: PauseKind, name: str) -> dict[str, float | None]:
    """What would hold if nothing was set; None: nothing is stated."""
    section: Any = (config.lanes if kind is PauseKind.LANE else config.accounts).get(name)
    plain = {"weight": 1.0}
    return {limit: plain.get(limit) if section is None else getattr(section, limit) for limit in SETTABLE[kind]}


def limits_json(config: Config, found: Iterable[LiveLimits]) -> list[dict[str, Any]]:
    """With what the config says."""
    shown = []
    for one in found:
        configured = configured_limits(config, one.kind, one.name)
        shown.append({**one.as_json(), "configured": {limit: configured[limit] for limit in one.values}})
    return shown
