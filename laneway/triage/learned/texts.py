"""What of a text counts: its words, pairs of words, the characters inside words, and its shape in numbers.

Words are looked at in lower case; numbers keep their place but not their digits, so that an order's number says
nothing. Of a long text the beginning and the end are read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping

HEAD, TAIL = 6_000, 2_000  # characters
LONGEST_WORD = 40  # characters
GRAMS = (3, 4, 5)  # characters, blanks at a word's ends included
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,]\d+)*|[^\w\s]")
_DIGITS = re.compile(r"\d")
_FIRST = re.compile(r"\S+")


def shortened(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} {text[-TAIL:]}"


def words(text: str) -> list[str]:
    """``"Invoice #4711 isn't paid"`` → ``["invoice", "#", "0000", "isn't", "paid"]``"""
    found = _WORD.findall(shortened(text).lower())
    return [_DIGITS.sub("0", word[:8]) if word[0].isdigit() else word[:LONGEST_WORD] for word in found]


def pairs(of: list[str]) -> Iterator[str]:
    return map("%s %s".__mod__, itertools.pairwise(of))


def grams(word: str) -> Iterator[str]:
    """The pieces of a word, told from whole words by the mark in front."""
    padded = f" {word} "
    for n in GRAMS:
        for at in range(len(padded) - n + 1):
            yield "·" + padded[at : at + n]


SHAPE: Mapping[str, Callable[[str], float]] = {
    "length": len,
    "lines": lambda text: text.count("\n"),
    "digits": lambda text: sum(map(text.count, "0123456789")),
    "operators": lambda text: sum(map(text.count, "+-*/=^<>%")),
    "brackets": lambda text: sum(map(text.count, "()[]{}")),
    "questions": lambda text: text.count("?"),
    "commas": lambda text: text.count(","),
    "capitals": lambda text: sum(map(str.isupper, text)),
    "words": lambda text: sum(1 for _ in _FIRST.finditer(text)),
}


def shape(text: str) -> list[float]:
    """The numbers of ``SHAPE``, in its order. They grow with the text: take their logarithms."""
    text = text if len(text) <= HEAD + TAIL else shortened(text)
    return [float(count(text)) for count in SHAPE.values()]
