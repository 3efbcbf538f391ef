"""How each simulated model behaves, and the file that says so."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOOKED_AT = 20_000  # characters of a request, for its kind
_SHARES = ("quality", "marked", "alarms")


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """One model. Prices in USD per million tokens (None: unknown), latency in seconds (None: the simulator's own),
    quality 0 to 1: the share of requests that it answers well. ``kinds``: that of some kinds of request, by a regular
    expression that is found in their text; the first one counts. ``marked``: the share of its poor answers that say so
    themselves (``[uncertain]``); ``alarms``: the share of its good ones that do."""

    input_price: float | None = None
    output_price: float | None = None
    latency: float | None = None
    quality: float = 1.0
    cached_price: float | None = None  # of input out of the cache; None: the input price
    cache_write_price: float | None = None  # of input written to it; None: the input price
    kinds: Mapping[str, float] = field(default_factory=dict)
    marked: float = 1.0
    alarms: float = 0.0

    def quality_for(self, text: str) -> float:
        head = text[:LOOKED_AT]
        return next((quality for pattern, quality in self.kinds.items() if re.search(pattern, head)), self.quality)

    def cost_usd(self, input_tokens: int, output_tokens: int, cached: int = 0, written: int = 0) -> float | None:
        """None where a price that matters is unknown."""
        if self.input_price is None or (self.output_price is None and output_tokens):
            return None
        read_at = self.input_price if self.cached_price is None else self.cached_price
        written_at = self.input_price if self.cache_write_price is None else self.cache_write_price
        paid = (input_tokens - cached - written) * self.input_price + cached * read_at + written * written_at
        return (paid + output_tokens * (self.output_price or 0.0)) / 1e6


@dataclass(frozen=True, slots=True)
class Models:
    """The models by name. ``strict``: a model that is not among them does not exist (404)."""

    by_name: Mapping[str, SimulatedModel] = field(default_factory=dict)
    strict: bool = False

    def find(self, name: str) -> SimulatedModel | None:
        """None: there is no such model."""
        known = self.by_name.get(name)
        return known if known is not None or self.strict else SimulatedModel()

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {name: dataclasses.asdict(model) for name, model in self.by_name.items()}
        return {"strict": True, **told} if self.strict else told


def parse_models(data: Any) -> Models:
    """``{NAME: {input_price, output_price, latency, quality, …}}`` and, optional, ``strict = true`` beside the names.
    Raises ValueError."""
    if not isinstance(data, Mapping):
        raise ValueError("models takes a table of models by name")  # noqa: TRY004 - a user's mistake, like all others
    strict = data.get("strict", False)
    if not isinstance(strict, bool):
        raise ValueError("strict takes true or false")  # noqa: TRY004
    return Models({name: _model(name, values) for name, values in data.items() if name != "strict"}, strict)


def _model(name: str, values: Any) -> SimulatedModel:
    known = [f.name for f in dataclasses.fields(SimulatedModel)]
    if not isinstance(values, Mapping):
        raise ValueError(f"model {name!r} takes a table with {', '.join(known)}")  # noqa: TRY004
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"model {name!r} has {', '.join(unknown)}; known are {', '.join(known)}")
    for key, value in values.items():
        if key != "kinds" and not _is_number(value):
            raise ValueError(f"{key} of model {name!r} takes a number, 0 or more")
    for key in _SHARES:
        if values.get(key, 1.0) > 1:
            raise ValueError(f"{key} of model {name!r} is a share, 0 to 1")
    return SimulatedModel(**{**values, "kinds": _kinds(name, values.get("kinds", {}))})


def _kinds(name: str, kinds: Any) -> Mapping[str, float]:
    if not isinstance(kinds, Mapping):
        raise ValueError(f"kinds of model {name!r} takes a table of patterns and qualities")  # noqa: TRY004
    for pattern, quality in kinds.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"kinds of model {name!r}: {pattern!r} is no regular expression: {error}") from None
        if not _is_number(quality) or quality > 1:
            raise ValueError(f"kinds of model {name!r}: the quality for {pattern!r} is a share, 0 to 1")
    return dict(kinds)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def read_models(path: Path) -> Models:
    """Models from a TOML or JSON file. Raises OSError, and ValueError that names the file."""
    text = path.read_text("utf-8")
    try:
        if path.suffix == ".json":
            import json

            return parse_models(json.loads(text))
        import tomllib

        return parse_models(tomllib.loads(text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
