"""A text that matches a regular expression, for the ``pattern`` of a JSON Schema.

Reads the standard library's own parse tree, so that it understands what ``re`` understands. Look-arounds and
word boundaries are passed over: a text for a pattern that hangs on them may not match.
"""

from __future__ import annotations

import importlib
import random
import re
import string
from typing import Any

LONGEST_REPEAT = 1_000
_ANY = string.ascii_lowercase + string.digits
_PRINTABLE = [chr(code) for code in range(32, 127)]


def matching(pattern: str, rng: random.Random) -> str:
    """Raises ValueError for what is no regular expression, or repeats without end."""
    parser = importlib.import_module("re._parser")  # private, and the one parser that agrees with `re`
    try:
        tree = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"the pattern {pattern!r} is no regular expression: {error}") from None
    return _sequence(tree, rng, {})


def _sequence(tree: Any, rng: random.Random, groups: dict[int, str]) -> str:
    return "".join(_one(str(op), argument, rng, groups) for op, argument in tree)


def _one(op: str, argument: Any, rng: random.Random, groups: dict[int, str]) -> str:
    match op:
        case "LITERAL":
            return chr(argument)
        case "NOT_LITERAL":
            return rng.choice([char for char in _ANY if char != chr(argument)])
        case "ANY":
            return rng.choice(_ANY)
        case "IN":
            return rng.choice(_members(argument))
        case "BRANCH":
            return _sequence(rng.choice(argument[1]), rng, groups)
        case "SUBPATTERN":
            text = _sequence(argument[3], rng, groups)
            if argument[0] is not None:
                groups[argument[0]] = text
            return text
        case "GROUPREF":
            return groups.get(argument, "")
        case "ATOMIC_GROUP":
            return _sequence(argument, rng, groups)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, inner = argument
            if least > LONGEST_REPEAT:
                raise ValueError(f"a pattern repeats {least} times; {LONGEST_REPEAT} are the most")
            times = rng.randint(least, min(int(most), max(least, 1) + 2))
            return "".join(_sequence(inner, rng, groups) for _ in range(times))
    return ""  # AT, ASSERT, ASSERT_NOT, GROUPREF_EXISTS


def _members(items: Any) -> list[str]:
    """The characters of a class. Of a negated one, printable ASCII."""
    parsed = [(str(op), argument) for op, argument in items]
    negated = parsed[0][0] == "NEGATE"
    chars: set[str] = set()
    for op, argument in parsed[1:] if negated else parsed:
        match op:
            case "LITERAL":
                chars.add(chr(argument))
            case "RANGE":
                low, high = argument
                chars.update(map(chr, range(low, min(high, low + 255) + 1)))
            case "CATEGORY":
                chars.update(_category(str(argument)))
    if negated:
        chars = set(_PRINTABLE) - chars
    plain = sorted(char for char in chars if char in _ANY) or sorted(chars)
    if not plain:
        raise ValueError("a pattern has a class without a printable character")
    return plain


def _category(name: str) -> set[str]:
    inner = {
        "DIGIT": set(string.digits),
        "WORD": {*string.ascii_letters, *string.digits, "_"},
        "SPACE": {" "},
    }[name.rpartition("_")[2]]
    return set(_PRINTABLE) - inner if "_NOT_" in name else inner
