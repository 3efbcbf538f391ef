"""Conditions of rules, compiled once.

``when = { type = "legal_review", text = "/attorney/", tokens = ">8000", amount = ">=10000", tags = ["vip", "press"] }``:
every entry must hold. A name that is none of ours is a field of the record (``customer.tier`` looks inside). Values:

* a word or number: equal, letter case aside; a list: any of these
* ``">8000"``, ``"<=5"``, ``"!=open"``: compared, as numbers where both sides are numbers
* ``"/pattern/"``: a regular expression found anywhere, letter case aside (``"/pattern/c"``: case counts)
* ``true``, ``false``

What is not there matches nothing: no evidence means abstain.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.task import Urgency
from laneway.triage.patient import Patient

LONGEST_SEARCHED = 200_000  # characters of a text that a pattern is looked for in

Known = Mapping[str, Any]  # what earlier rules have filled
Predicate = Callable[[Patient, Known], bool]
_Test = Callable[[Any], bool]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_GETTERS: dict[str, Callable[[Patient, Known], Any]] = {
    "type": lambda p, k: p.type,
    "text": lambda p, k: p.text[:LONGEST_SEARCHED],
    "tokens": lambda p, k: p.input_tokens,
    "chars": lambda p, k: len(p.text),
    "tags": lambda p, k: p.tags,
    "key": lambda p, k: p.key,
    "team": lambda p, k: p.team,
    "urgency": lambda p, k: k.get("urgency"),
    "model": lambda p, k: k.get("model"),
    "lane": lambda p, k: k.get("lane"),
    "category": lambda p, k: k.get("category"),
    "complexity": lambda p, k: k.get("complexity"),
}
BUILT_IN = frozenset(_GETTERS)


def compile_when(when: Mapping[str, Any], config: Config, place: str) -> Predicate:
    """One predicate for a rule's conditions. ``place`` names the rule in errors. Raises ConfigError."""
    parts: list[Predicate] = []
    for name, wanted in when.items():
        if name in ("field", "fields") and isinstance(wanted, Mapping):
            parts += [_part(_field(inner), _test(value, f"{place}: {inner}")) for inner, value in wanted.items()]
            continue
        getter = _GETTERS.get(name) or _field(name.removeprefix("field."))
        test = _urgency_test(wanted, config, place) if name == "urgency" else _test(wanted, f"{place}: {name}")
        parts.append(_part(getter, test))
    return lambda patient, known: all(part(patient, known) for part in parts)


def fields_named(when: Mapping[str, Any]) -> set[str]:
    """The record's fields that the conditions look at (their first part, where dotted)."""
    named = set()
    for name, wanted in when.items():
        if name in ("field", "fields") and isinstance(wanted, Mapping):
            named |= {inner.partition(".")[0] for inner in wanted}
        elif name not in BUILT_IN:
            named.add(name.removeprefix("field.").partition(".")[0])
    return named


def _part(getter: Callable[[Patient, Known], Any], test: _Test) -> Predicate:
    def holds(patient: Patient, known: Known) -> bool:
        value = getter(patient, known)
        if isinstance(value, list | tuple):
            return any(test(one) for one in value)
        return value is not None and test(value)

    return holds


def _field(name: str) -> Callable[[Patient, Known], Any]:
    path = name.split(".")

    def get(patient: Patient, known: Known) -> Any:
        value: Any = patient.fields.get(name) if name in patient.fields else patient.fields
        if value is not patient.fields:
            return value
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    return get


def _test(wanted: Any, place: str) -> _Test:
    if isinstance(wanted, list):
        tests = [_test(one, place) for one in wanted]
        return lambda value: any(test(value) for test in tests)
    if isinstance(wanted, bool):
        return lambda value: _truth(value) is wanted
    if isinstance(wanted, int | float):
        return lambda value: _number(value) == float(wanted)
    if not isinstance(wanted, str):
        raise ConfigError(
            f"{place}: {wanted!r} is no condition", hint='write a word, a number, ">8000", "/pattern/" or a list'
        )
    if len(wanted) > 1 and wanted.startswith("/") and (end := wanted.rfind("/")) > 0:
        return _pattern(wanted[1:end], wanted[end + 1 :], place)
    for sign, compare in _COMPARE.items():
        if wanted.startswith(sign):
            return _comparison(sign, compare, wanted.removeprefix(sign).strip(), place)
    folded = wanted.strip().casefold()
    return lambda value: str(value).strip().casefold() == folded


def _pattern(source: str, flags: str, place: str) -> _Test:
    known = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "c": 0}
    if set(flags) - set(known):
        raise ConfigError(f"{place}: unknown flags {flags!r} behind the pattern", hint="i, m, s, or c for exact case")
    mode = 0 if "c" in flags else int(re.IGNORECASE)
    for flag in flags:
        mode |= int(known[flag])
    try:
        search = re.compile(source, mode).search
    except re.error as error:
        raise ConfigError(f"{place}: the pattern /{source}/ is wrong: {error}", hint="mend the pattern") from None
    return lambda value: search(str(value)) is not None


def _comparison(sign: str, compare: Callable[[Any, Any], bool], text: str, place: str) -> _Test:
    number = _number(text)
    if number is None and sign not in ("!=", "=="):
        raise ConfigError(f"{place}: {sign}{text} compares with no number", hint='write e.g. ">8000"')
    if number is None:
        folded = text.casefold()
        return lambda value: compare(str(value).strip().casefold(), folded)

    def holds(value: Any) -> bool:
        own = _number(value)
        return sign == "!=" if own is None else compare(own, number)

    return holds


def _urgency_test(wanted: Any, config: Config, place: str) -> _Test:
    """Urgencies compare by rank: ``">=urgent"`` is urgent or immediate. Names and aliases."""
    words = wanted if isinstance(wanted, list) else [wanted]
    tests: list[_Test] = []
    for word in words:
        text = str(word)
        sign = next((sign for sign in _COMPARE if text.startswith(sign)), "")
        try:
            rank = config.urgency_of(text.removeprefix(sign))
        except ValueError as error:
            raise ConfigError(f"{place}: {error}", hint="or add the word to an urgency's aliases") from None
        compare = _COMPARE[sign or "=="]
        tests.append(lambda value, compare=compare, rank=rank: compare(-int(value), -int(rank)))  # type: ignore[misc]
    return lambda value: isinstance(value, Urgency) and any(test(value) for test in tests)


def _number(value: Any) -> float | None:
    """A number, also one written as text ("12500.50"); None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).casefold())
