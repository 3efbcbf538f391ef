"""What the simulator can be told to do. Every option may be changed while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """How one model behaves. Prices in USD per million tokens, latency in seconds, quality 0 to 1."""

    input_price: float = 0.0
    output_price: float = 0.0
    latency: float | None = None
    quality: float = 1.0


@dataclass(slots=True)
class Options:
    """Times in seconds, limits per minute and key, rates 0 to 1."""

    latency: float = 0.3
    spread: float = 0.0  # sigma of the log-normal factor on the latency; 0: fixed
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
    no_headers: bool = False
    output_tokens: int = 64
    key: list[str] = field(default_factory=list)  # accepted keys; empty: any
    seed: int = 0

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set options by name. Raises ValueError for an unknown name or a value of the wrong kind; then nothing
        changed."""
        kinds = {f.name: f.default for f in dataclasses.fields(self)}
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            name = name.replace("-", "_")
            if name not in kinds:
                raise ValueError(f"there is no option {name!r}; there are {', '.join(kinds)}")
            checked[name] = _checked(name, value)
        for name, value in checked.items():
            setattr(self, name, value)


_OPTIONAL = ("rpm", "tpm", "input_tpm", "output_tpm", "concurrency", "hang_nth")
_WHOLE = ("concurrency", "hang_nth", "output_tokens", "seed")


def _checked(name: str, value: Any) -> Any:
    if value is None and name in _OPTIONAL:
        return None
    if name == "key":
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
            raise ValueError("key takes a text or a list of texts")
        return value
    if name == "no_headers":
        if not isinstance(value, bool):
            raise ValueError("no_headers takes true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{name} takes a number, 0 or more")
    if name.endswith("_rate") and value > 1:
        raise ValueError(f"{name} is a share, 0 to 1")
    return int(value) if name in _WHOLE else float(value)


def read_models(path: Path) -> dict[str, SimulatedModel]:
    """Models from TOML or JSON: ``[NAME]`` with input_price, output_price, latency, quality. Raises ValueError."""
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        import json

        data = json.loads(text)
    else:
        import tomllib

        data = tomllib.loads(text)
    names = {f.name for f in dataclasses.fields(SimulatedModel)}
    for name, values in data.items():
        if unknown := set(values) - names:
            raise ValueError(f"{path}: {name} has {', '.join(sorted(unknown))}; known are {', '.join(sorted(names))}")
    return {name: SimulatedModel(**values) for name, values in data.items()}
