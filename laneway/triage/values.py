"""What a condition may ask of a value.

* a word: equal, letter case and blanks around it aside; a number: equal as numbers, also where the record has it as
  text (``"12500.50"``; thousands separators are not understood: ``"12,500"`` is no number)
* ``true``, ``false``: also of the words yes, no, true, false, 1, 0
* ``">8000"``, ``">=5"``, ``"<5"``, ``"<=5"``: numbers; ``"!=open"``, ``"==open"``: words or numbers
* ``"/pattern/"``: a regular expression found anywhere, letter case aside. Letters behind it: ``c`` case counts, ``m`` ^
  and $ at every line, ``s`` the dot matches line ends too. ``"==/etc/hosts"`` is the text itself.
* a list: any of these

Patterns see the first 200,000 characters only. That bounds honest patterns; one with nested repeats (``(a+)+$``) can
take for ever on thirty characters, and Python cannot stop it: the config's author answers for them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.task import Urgency

LONGEST_SEARCHED = 200_000  # characters
LONGEST_PATTERN = 10_000  # characters

Test = Callable[[Any], bool]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "c": re.NOFLAG}
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?\s*", re.ASCII)
_WORDS = re.compile(r"[A-Za-z0-9 _,;:@|-]+")
_LONGEST_NUMBER = 400  # characters
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_COMPLEXITY = {"low": 0, "medium": 1, "high": 2}


def value_test(wanted: Any, where: str) -> Test:
    """A test of any value. Raises ConfigError that begins with ``where``."""
    return _any_of(wanted, where, _one)


def number_test(wanted: Any, where: str) -> Test:
    """A test of what is always a number (``tokens``): a word would never match, so it is refused."""

    def one(wanted: Any, where: str) -> Test:
        sign, text = split_sign(wanted) if isinstance(wanted, str) else ("", wanted)
        if number(text) is None:
            raise ConfigError(f"{where}: {wanted!r} compares with no number", hint='write e.g. ">8000"')
        return _one(wanted if sign else number(text), where)

    return _any_of(wanted, where, one)


def urgency_test(wanted: Any, config: Config, where: str) -> Test:
    """Urgencies by name or alias; they compare by rank: ``">=urgent"`` is urgent or immediate."""

    def rank(word: str) -> int:
        try:
            return -int(config.urgency_of(word))
        except ValueError as error:
            raise ConfigError(f"{where}: {error}", hint="or add the word to an urgency's aliases") from None

    return _ranked(wanted, where, rank, lambda value: -int(value) if isinstance(value, Urgency) else None)


def complexity_test(wanted: Any, where: str) -> Test:
    """low, medium, high, also compared: ``">=medium"``."""

    def rank(word: str) -> int:
        if word.strip().casefold() not in _COMPLEXITY:
            raise ConfigError(f"{where}: {word!r} is no complexity", hint=f"one of {', '.join(_COMPLEXITY)}")
        return _COMPLEXITY[word.strip().casefold()]

    return _ranked(wanted, where, rank, lambda value: _COMPLEXITY.get(str(value)))


def split_sign(text: str) -> tuple[str, str]:
    """``">=5"`` → ``(">=", "5")``; without a comparison the first part is empty."""
    text = text.strip()
    sign = next((sign for sign in _COMPARE if text.startswith(sign)), "")
    return sign, text.removeprefix(sign).strip()


def number(value: Any) -> float | None:
    """A finite number, also one written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            own = float(value)
        except OverflowError:
            return None
        return own if own - own == 0 else None  # neither infinite nor NaN
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value):
        own = float(value)
        return own if own - own == 0 else None
    return None


def _any_of(wanted: Any, where: str, one: Callable[[Any, str], Test]) -> Test:
    if not isinstance(wanted, list):
        return one(wanted, where)
    if not wanted:
        raise ConfigError(f"{where}: an empty list matches nothing", hint="name at least one value")
    tests = [one(each, where) for each in wanted]
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _one(wanted: Any, where: str) -> Test:
    if isinstance(wanted, bool):
        return _for_each(lambda value: _truth(value) is wanted)
    if isinstance(wanted, int | float):
        asked = number(wanted)
        return _for_each(lambda value: asked is not None and number(value) == asked)
    if not isinstance(wanted, str):
        raise ConfigError(
            f"{where}: {wanted!r} is no condition", hint='write a word, a number, ">8000", "/pattern/" or a list'
        )
    if wanted.startswith("/") and (end := wanted.rfind("/")) > 0:
        return _for_each(_pattern(wanted[1:end], wanted[end + 1 :], where))
    sign, text = split_sign(wanted)
    if not sign:
        return _for_each(_equals(wanted))
    if not text:
        raise ConfigError(f"{where}: nothing stands behind {sign}", hint='write e.g. ">8000" or "!=open"')
    if sign == "==":
        return _for_each(_equals(text))
    if sign == "!=":
        same = _for_each(_equals(text))
        return lambda value: not isinstance(value, Mapping) and not same(value)
    bound = number(text)
    if bound is None:
        raise ConfigError(f"{where}: {wanted!r} compares with no number", hint='write e.g. ">8000"')
    compare, limit = _COMPARE[sign], bound

    def holds(value: Any) -> bool:
        own = number(value)
        return own is not None and compare(own, limit)

    return _for_each(holds)


def _for_each(test: Test) -> Test:
    """A list of values matches where one of them does; a table is no value."""

    def holds(value: Any) -> bool:
        if isinstance(value, list | tuple | set | frozenset):
            return any(one is not None and not isinstance(one, Mapping | list) and test(one) for one in value)
        return not isinstance(value, Mapping) and test(value)

    return holds


def _equals(text: str) -> Test:
    """Words as words (``"007"`` is not ``"7"``); against a real number, as numbers."""
    folded, as_number = text.strip().casefold(), number(text)

    def same(value: Any) -> bool:
        if isinstance(value, str):
            return value.strip().casefold() == folded
        if isinstance(value, bool) or as_number is None:
            return str(value).strip().casefold() == folded
        return number(value) == as_number

    return same


def _pattern(source: str, letters: str, where: str) -> Test:
    if set(letters) - set(_FLAGS):
        raise ConfigError(
            f"{where}: unknown flags {letters!r} behind the pattern",
            hint=f'flags are i, m, s, and c for exact case; the text itself is "==/{source}/{letters}"',
        )
    if len(source) > LONGEST_PATTERN:
        raise ConfigError(f"{where}: the pattern is longer than {LONGEST_PATTERN:,} characters", hint="shorten it")
    flags = re.NOFLAG if "c" in letters else re.IGNORECASE
    for letter in letters:
        flags |= _FLAGS[letter]
    try:
        search = re.compile(source, flags).search
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{where}: the pattern /{source}/ is wrong: {error}", hint="mend the pattern") from None

    if flags == re.IGNORECASE and _WORDS.fullmatch(source):
        words = [word for word in source.lower().split("|") if word]
        if len(words) == source.count("|") + 1:
            return lambda value: _has_one(words, str(value))

    def found(value: Any) -> bool:
        text = value if isinstance(value, str) else str(value)
        return search(text if len(text) <= LONGEST_SEARCHED else text[:LONGEST_SEARCHED]) is not None

    return found


def _has_one(words: list[str], text: str) -> bool:
    """``/attorney|lawyer/`` without the pattern engine, which takes 6 ns a character when letter case is aside."""
    text = text[:LONGEST_SEARCHED].lower()
    return any(word in text for word in words)


def _ranked(wanted: Any, where: str, rank: Callable[[str], int], own: Callable[[Any], int | None]) -> Test:
    def one(wanted: Any, where: str) -> Test:
        if not isinstance(wanted, str):
            raise ConfigError(f"{where}: {wanted!r} is no condition", hint='write a word, or e.g. ">=urgent"')
        sign, word = split_sign(wanted)
        compare, limit = _COMPARE[sign or "=="], rank(word)

        def holds(value: Any) -> bool:
            at = own(value)
            return at is not None and compare(at, limit)

        return holds

    return _any_of(wanted, where, one)


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else _TRUTH.get(str(value).strip().casefold())
