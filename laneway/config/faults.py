"""What is wrong with a config, said so that it can be mended: where, what, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from laneway.config import models
from laneway.config.places import Place, dotted
from laneway.errors import ConfigError

MOST_SHOWN = 20
_SECTIONS: dict[str, type[BaseModel]] = {
    "accounts": models.AccountConfig,
    "models": models.ModelConfig,
    "lanes": models.LaneConfig,
    "types": models.TypeConfig,
    "urgency": models.UrgencyConfig,
    "retry": models.RetryConfig,
    "rules": models.RuleConfig,
    "defaults": models.DefaultsConfig,
}
INNER = ("folder", "sources", "origin")  # fields of Config that are no settings
_PLAIN = {
    "missing": "it is needed here",
    "int_type": "this must be a whole number",
    "int_parsing": "this must be a whole number",
    "int_from_float": "this must be a whole number",
    "float_type": "this must be a number",
    "float_parsing": "this must be a number",
    "finite_number": "this must be a finite number",
    "string_type": 'this must be a text in quotes: "…"',
    "path_type": 'this must be a path in quotes: "…"',
    "list_type": 'this must be a list: ["…", "…"]',
    "dict_type": "this must be a table",
    "model_type": "this must be a table",
}
_BOUNDS = {"greater_than": ("gt", "more than"), "greater_than_equal": ("ge", "at least")}


class Fault(NamedTuple):
    """``place`` as pydantic has it; () where the fault is none of a single setting."""

    place: Place
    said: str
    source: str = ""  # the file or variable, where it is not the place that tells it


def close_match(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'main'?`` or nothing."""
    folded = {own.casefold(): own for own in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), 1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def of_validation(error: ValidationError) -> list[Fault]:
    """Pydantic's errors in plain words. Values are not repeated: they may be secrets."""
    return [_fault(fault["loc"], fault["type"], fault["msg"], fault.get("ctx", {})) for fault in error.errors()]


def _fault(place: Place, kind: str, message: str, facts: dict[str, Any]) -> Fault:
    if kind == "extra_forbidden":
        return Fault(place, unknown_setting(place))
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return Fault(place, f"this must be {words} {facts[name]:g}")
    if kind == "literal_error":
        return Fault(place, f"this must be {facts['expected']}".replace("'", '"'))
    return Fault(place, _PLAIN.get(kind) or message.removeprefix("Value error, "))


def unknown_setting(place: Place) -> str:
    name = str(place[-1])
    if place[0] == "accounts" and name.casefold() in ("api_key", "key", "apikey", "token"):
        return "keys do not belong in the config; name the variable with api_key_env, or a file with api_key_file"
    section: type[BaseModel] = models.Config if len(place) == 1 else _SECTIONS.get(str(place[0]), models.Config)
    if section is models.TypeConfig and place[2] == "checks" and len(place) > 3:
        section = models.CheckConfig
    fields = section.model_fields.items()
    known = [field.alias or name for name, field in fields if name not in INNER or section is not models.Config]
    return "there is no such setting" + (close_match(name, known) or f"; known here: {', '.join(known)}")


def raise_faults(faults: list[tuple[Fault, str, int | None]]) -> None:
    """One ConfigError for all of them. Each comes with its file or variable, and its line (or None)."""
    if not faults:
        return
    lines = []
    for fault, source, line in faults[:MOST_SHOWN]:
        name = dotted(fault.place) + (f" (line {line})" if line else "")
        lines.append(f"{source}: {name}{': ' if name else ''}{fault.said}")
    if len(faults) > MOST_SHOWN:
        lines.append(f"… and {len(faults) - MOST_SHOWN} more")
    text = lines[0] if len(faults) == 1 else f"{len(faults)} faults in the config:\n  " + "\n  ".join(lines)
    raise ConfigError(text, hint="mend the config and run again")
