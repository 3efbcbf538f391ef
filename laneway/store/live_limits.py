"""Limits that somebody set while work goes on: of lanes and accounts, kept as states, heeded by every worker. What is
not set there is the config's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from laneway.store.steering import PauseKind

STATE = "limits:"  # of "limits:lane:NAME" and "limits:account:NAME"
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
