"""What the simulator can be told to do. Every option may be changed while it runs."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laneway.simulator.models import Models, parse_models


@dataclass(slots=True)
class Options:
    """Times in seconds, limits per minute and per key, rates 0 to 1. None: no such limit."""

    latency: float = 0.3  # the median, where there is a spread
    spread: float = 0.0  # sigma of the log-normal factor on the latency; 0: fixed
    token_latency: float = 0.0  # more of it for each token of output
    rpm: float | None = None
    tpm: float | None = None
    input_tpm: float | None = None
    output_tpm: float | None = None
    burst: float = 1.0  # seconds of each limit that its bucket holds
    concurrency: int | None = None
    error_rate: float = 0.0
    rate_limit_rate: float = 0.0
    cut_rate: float = 0.0
    hang_nth: int | None = None
    malformed_rate: float = 0.0
    overload_stream_rate: float = 0.0
    cached_rate: float = 0.0  # of each request's input that comes out of the prompt cache
    written_rate: float = 0.0  # of what is left, that is written to it
    no_headers: bool = False
    output_tokens: int = 64  # the median, where there is a spread
    output_spread: float = 0.0  # sigma of the log-normal factor on it; 0: fixed
    key: tuple[str, ...] = ()  # accepted keys; empty: any
    models: Models = field(default_factory=Models)
    seed: int = 0

    def median_s(self, model: str, output_tokens: int) -> float:
        """How long a model's call of that length takes, before the spread."""
        known = self.models.find(model)
        latency = self.latency if known is None or known.latency is None else known.latency
        return latency + self.token_latency * output_tokens

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set options by name, with ``_`` or ``-``. Raises ValueError for an unknown name or a wrong value; then
        nothing has changed."""
        known = [f.name for f in dataclasses.fields(self)]
        checked: dict[str, Any] = {}
        for given, value in changes.items():
            name = given.replace("-", "_")
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                meant = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
                raise ValueError(f"there is no option {given!r} to change{meant}")
            checked[name] = _checked(name, value)
        for name, value in checked.items():
            setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        """The options as they stand; of the keys only how many."""
        told = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**told, "key": len(self.key), "models": self.models.as_json()}


_ABOVE_ZERO = ("rpm", "tpm", "input_tpm", "output_tpm", "concurrency", "hang_nth", "output_tokens")
_MAY_BE_NONE = ("rpm", "tpm", "input_tpm", "output_tpm", "concurrency", "hang_nth")
_WHOLE = ("concurrency", "hang_nth", "output_tokens", "seed")


def _checked(name: str, value: Any) -> Any:
    if name == "models":
        return value if isinstance(value, Models) else parse_models(value)
    if name == "key":
        keys = [value] if isinstance(value, str) else value
        if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
            raise ValueError("key takes a text or a list of texts")
        return tuple(keys)
    if name == "no_headers":
        if not isinstance(value, bool):
            raise ValueError("no_headers takes true or false")
        return value
    if value is None and name in _MAY_BE_NONE:
        return None
    return _number(name, value)


def _number(name: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if name in _ABOVE_ZERO:
        if not number or value <= 0:
            without = "; leave it out (null) for none" if name in _MAY_BE_NONE else ""
            raise ValueError(f"{name} takes a number above 0{without}")
    elif not number or value < 0:
        raise ValueError(f"{name} takes a number, 0 or more")
    if name.endswith("_rate") and value > 1:
        raise ValueError(f"{name} is a share, 0 to 1")
    if name not in _WHOLE:
        return float(value)
    if value != int(value):
        raise ValueError(f"{name} takes a whole number")
    return int(value)
