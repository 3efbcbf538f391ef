"""Conditions of rules, compiled once.

``when = { type = "legal_review", text = "/attorney/", tokens = ">8000", amount = ">=500", tags = ["vip", "press"] }``
Every entry must hold. What is not there matches nothing, whatever is asked of it: no evidence means abstain.

Names
  ``type tags text tokens chars key team`` are the task's; ``lane urgency model`` are what it would get as things stand
  (pinned, filled by an earlier rule, found in its text, else its type's, else the default); ``category complexity``
  what an earlier rule said or was found in the text. Any other name is a field of the record. ``field.NAME`` (or
  ``fields = { NAME = … }``) is always one; ``customer.tier`` looks inside.

Values: see ``values.py``. A field with several values (a list, tags) matches where one of them does; ``!=`` where none
is equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.triage.patient import Patient
from laneway.triage.values import Test, complexity_test, number_test, urgency_test, value_test

Standing = Mapping[str, Any]  # lane, urgency, model, category, complexity as things stand
Getter = Callable[[Patient, Standing], Any]
Predicate = Callable[[Patient, Standing], bool]

_GETTERS: dict[str, Getter] = {
    "type": lambda p, s: p.type,
    "text": lambda p, s: p.text,
    "tokens": lambda p, s: p.input_tokens,
    "chars": lambda p, s: len(p.text),
    "tags": lambda p, s: p.tags,
    "key": lambda p, s: p.key,
    "team": lambda p, s: p.team,
    "urgency": lambda p, s: s.get("urgency"),
    "model": lambda p, s: s.get("model"),
    "lane": lambda p, s: s.get("lane"),
    "category": lambda p, s: s.get("category"),
    "complexity": lambda p, s: s.get("complexity"),
}
BUILT_IN = frozenset(_GETTERS)
_DEEPEST = 10  # levels of a record's nested field


def compile_when(when: Mapping[str, Any], config: Config, place: str) -> Predicate:
    """One predicate for a rule's conditions; the cheap ones are asked first. ``place`` names the rule in errors.

    Raises ConfigError for a pattern, comparison or word that cannot be understood.
    """
    parts: list[tuple[int, Predicate]] = []
    for name, wanted, is_field in _entries(when):
        where = f"{place}: {name}"
        if is_field:
            parts.append((1, _part(field_getter(name), value_test(wanted, where))))
        else:
            parts.append(
                (2 if name == "text" else 0, _part(_GETTERS[name], _built_in_test(name, wanted, config, where)))
            )
    tests = tuple(part for _, part in sorted(parts, key=lambda part: part[0]))
    if len(tests) == 1:
        return tests[0]

    def all_hold(patient: Patient, standing: Standing) -> bool:
        for test in tests:  # noqa: SIM110 - all() with a generator takes three times as long
            if not test(patient, standing):
                return False
        return True

    return all_hold


def fields_named(when: Mapping[str, Any]) -> set[str]:
    """The record's fields that the conditions look at, dotted where they look inside."""
    return {name for name, _, is_field in _entries(when) if is_field}


def field_getter(name: str) -> Getter:
    """The value of a record's field: a column of just this name, else dotted into nested tables."""
    path = name.split(".")
    if len(path) == 1:
        return lambda patient, standing: patient.fields.get(name)

    def get(patient: Patient, standing: Standing) -> Any:
        if name in patient.fields:
            return patient.fields[name]
        value: Any = patient.fields
        for step in path:
            if not isinstance(value, Mapping):
                return None
            value = value.get(step)
        return value

    return get


def _entries(when: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """(name, what is wanted, whether it is a record's field). TOML reads ``customer.tier = …`` as nested tables."""
    for name, wanted in when.items():
        if name in ("field", "fields") and isinstance(wanted, Mapping):
            yield from ((inner, value, True) for inner, value in _flat("", wanted))
        elif name.startswith("field."):
            yield from ((inner, value, True) for inner, value in _flat("", {name.removeprefix("field."): wanted}))
        elif name in BUILT_IN:
            yield name, wanted, False
        else:
            yield from ((inner, value, True) for inner, value in _flat("", {name: wanted}))


def _flat(prefix: str, table: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping) and value and depth < _DEEPEST:
            yield from _flat(f"{prefix}{name}.", value, depth + 1)
        else:
            yield prefix + name, value


def _built_in_test(name: str, wanted: Any, config: Config, where: str) -> Test:
    if isinstance(wanted, Mapping):
        raise ConfigError(f"{where} is a table", hint=f"for a field of the record called {name} write fields.{name}")
    if name == "urgency":
        return urgency_test(wanted, config, where)
    if name == "complexity":
        return complexity_test(wanted, where)
    if name in ("tokens", "chars"):
        return number_test(wanted, where)
    return value_test(wanted, where)


def _part(getter: Getter, test: Test) -> Predicate:
    def holds(patient: Patient, standing: Standing) -> bool:
        value = getter(patient, standing)
        return value is not None and test(value)

    return holds
