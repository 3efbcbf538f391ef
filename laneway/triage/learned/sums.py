"""Sums that stand written out in a text, and whether they are right: ``12 x (3 + 4) = 84``."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 80  # characters of a sum
_SIDE = r"[\d.,$()+\-*/x×÷\s]"
_SUM = re.compile(rf"(?P<left>[\d($]{_SIDE}{{2,{LONGEST}}}?)=\s*\$?(?P<right>-?\d[\d,]*(?:\.\d+)?)")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[-+*/()]")
_SIGNS = str.maketrans({"x": "*", "×": "*", "÷": "/", "$": None, ",": None})
CENTS = 0.011  # how far a right one may be off, rounded as it is


def sums(text: str) -> tuple[int, int]:
    """How many there are, and how many of them are wrong. What is none (a lone number, a bracket too many) is not
    counted."""
    found = wrong = 0
    for match in _SUM.finditer(text):
        real = value(match["left"].translate(_SIGNS))
        if real is None:
            continue
        found += 1
        wrong += abs(real - float(match["right"].replace(",", ""))) > CENTS * max(1.0, abs(real))
    return found, wrong


def value(written: str) -> float | None:
    """Of numbers and + - * / ( ), with the usual precedence. None where it is not one sum."""
    tokens = _TOKEN.findall(written)
    if "".join(tokens) != "".join(written.split()) or len(tokens) < 3:
        return None
    rest = iter([*tokens, ""])
    try:
        found, end = _added(rest, next(rest))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return found if end == "" else None


def _added(rest: Iterator[str], word: str) -> tuple[float, str]:
    """The value of terms from ``word`` on, and what stands behind them."""
    found, word = _multiplied(rest, word)
    while word in ("+", "-"):
        sign = word
        term, word = _multiplied(rest, next(rest))
        found = found + term if sign == "+" else found - term
    return found, word


def _multiplied(rest: Iterator[str], word: str) -> tuple[float, str]:
    found, word = _single(rest, word)
    while word in ("*", "/"):
        sign = word
        factor, word = _single(rest, next(rest))
        found = found * factor if sign == "*" else found / factor
    return found, word


def _single(rest: Iterator[str], word: str) -> tuple[float, str]:
    if word != "(":
        return float(word), next(rest)  # raises ValueError for what is no number
    found, word = _added(rest, next(rest))
    if word != ")":
        raise ValueError("a bracket is not closed")
    return found, next(rest)
