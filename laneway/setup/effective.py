"""The settings as they are in force, where each comes from, and nothing secret in them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laneway.config.models import Config
from laneway.config.places import Place, dotted, line_numbers
from laneway.logs import HIDDEN, Redactor

WIDTH = 44  # where an origin begins
_DURATIONS = ("timeout", "time_limit", "target_wait", "keep", "dedupe_for")
_PLAIN_HEADERS = (
    *("accept", "content-type", "user-agent", "http-referer", "x-title", "anthropic-version", "anthropic-beta"),
    *("openai-organization", "openai-project", "openai-beta"),
)  # whose values are no secrets; of all others only the names are shown


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in force. ``source``: ``laneway.toml:12``, a variable, or "" where it is the default."""

    place: Place
    value: Any
    source: str


def settings(config: Config, env: Mapping[str, str], cwd: Path, *, defaults: bool = False) -> list[Setting]:
    """Every value that somebody set, with ``defaults`` also those that nobody did; in the order of the sections."""
    data = config.model_dump(by_alias=True, exclude_unset=not defaults, exclude_none=True)
    redactor = Redactor(_keys(config, env))
    origins = _Origins(config, cwd)
    return [
        Setting(place, _harmless(place, value, redactor), origins.of(place)) for place, value in _values(data, config)
    ]


def as_toml(found: list[Setting], *, origin: bool = False) -> str:
    """A file that loads to the same settings, hidden values aside."""
    lines: list[str] = []
    table: Place = ()
    for setting in sorted(found, key=lambda one: len(one.place) > 1):  # what stands in no table comes first
        here = setting.place[:-1]
        if here != table:
            table = here
            name = dotted(tuple(part for part in here if isinstance(part, str)))
            lines += ["", f"[[{name}]]" if isinstance(here[-1], int) else f"[{name}]"]
        line = f"{dotted(setting.place[-1:])} = {_toml(setting.value)}"
        lines.append(f"{line:<{WIDTH - 2}}  # {setting.source or 'default'}" if origin else line)
    return "\n".join(lines).strip() + "\n"


def as_json(found: list[Setting]) -> dict[str, Any]:
    """The settings as nested tables, and the source of each by its dotted name."""
    tables: dict[str, Any] = {}
    for setting in found:
        _put(tables, setting.place, setting.value)
    return {"config": tables, "origin": {dotted(one.place): one.source or "default" for one in found}}


def _values(data: Mapping[str, Any], config: Config) -> Iterator[tuple[Place, Any]]:
    for name, value in data.items():
        if name == "rules":
            for index, rule in enumerate(value):
                yield from (((name, index, field), inner) for field, inner in rule.items())
        elif name in ("accounts", "models", "lanes", "types", "urgency"):
            for entry, table in value.items():
                yield from (((name, entry, field), _told(field, inner)) for field, inner in table.items())
        elif isinstance(value, Mapping):
            yield from (((name, field), _told(field, inner)) for field, inner in value.items())
        else:
            yield (name,), _told(name, value)


def _told(field: str, value: Any) -> Any:
    """Durations as people write them."""
    if field in _DURATIONS and isinstance(value, int | float):
        return _duration(float(value))
    if field == "delays":
        return [_duration(float(one)) for one in value]
    return value


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s" if seconds == 0 or seconds >= 1 else f"{seconds * 1000:g}ms"


def _keys(config: Config, env: Mapping[str, str]) -> set[str]:
    """All keys that this config leads to: wherever they appear, they are hidden."""
    from laneway.providers.presets import presets

    variables = {account.api_key_env for account in config.accounts.values()}
    variables |= {preset.key_env for preset in presets().values()}
    return {env[name].strip() for name in variables if name and env.get(name, "").strip()}


def _harmless(place: Place, value: Any, redactor: Redactor) -> Any:
    if place[0] == "accounts" and place[-1] == "headers":
        return {name: text if name.casefold() in _PLAIN_HEADERS else HIDDEN for name, text in value.items()}
    if isinstance(value, Path):
        return str(value)
    return redactor.clean_value(value)


class _Origins:
    """Names to files with lines, or variables."""

    def __init__(self, config: Config, cwd: Path) -> None:
        self._config = config
        self._cwd = cwd
        self._lines: dict[str, dict[Place, int]] = {}
        self._first_rule: dict[str, int] = {}  # of each file, counted over all files
        for index in range(len(config.rules)):
            file = next((f for name, f in config.origin.items() if name.startswith(f"rules[{index + 1}]")), "")
            self._first_rule.setdefault(file, index)

    def of(self, place: Place) -> str:
        name = dotted(place)
        source = self._config.origin.get(name) or next(
            (own for at, own in self._config.origin.items() if at.startswith((name + ".", name + "["))), ""
        )
        if source not in map(str, self._config.sources):
            return source  # a variable, or nothing
        line = self._line(source, place)
        path = Path(source)
        shown = str(path.relative_to(self._cwd)) if path.is_relative_to(self._cwd) else source
        return f"{shown}:{line}" if line else shown

    def _line(self, file: str, place: Place) -> int | None:
        if file not in self._lines:
            self._lines[file] = line_numbers(Path(file).read_text("utf-8-sig").replace("\r\n", "\n"))
        if place[0] == "rules" and len(place) > 1 and isinstance(place[1], int):
            place = ("rules", place[1] - self._first_rule.get(file, 0), *place[2:])
        return self._lines[file].get(place)


def _put(tables: dict[str, Any], place: Place, value: Any) -> None:
    here: Any = tables
    for part, after in itertools.pairwise(place):
        empty: Any = [] if isinstance(after, int) else {}
        if isinstance(part, int):
            while len(here) <= part:
                here.append({})
            here = here[part]
        else:
            here = here.setdefault(part, empty)
    here[place[-1]] = value


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{dotted((str(name),))} = {_toml(one)}" for name, one in value.items() if one is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
