"""What of an answer counts beside its words: how long it is, whether it comes to an end, what it does with the numbers
of the prompt, whether its sums are right, how it hedges. Of a long text the beginning and the end are looked at.

None of these is the model's word on how sure it is, though hedging is one of them: alone it says little.
"""

from __future__ import annotations

import itertools
import math
import re

import orjson

from laneway.triage.learned.sums import sums
from laneway.triage.learned.texts import SHAPE, shape, words

HEAD, TAIL = 2_400, 800  # characters that are looked at
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_HEDGES = frozenset(
    [
        "maybe",
        "perhaps",
        "might",
        "probably",
        "possibly",
        "approximately",
        "roughly",
        "unclear",
        "uncertain",
        "seem",
        "seems",
        "likely",
        "however",
        "actually",
        "wait",
        "mistake",
        "sorry",
        "assume",
        "assumed",
        "assuming",
        "assumption",
        "assumptions",
        "estimate",
        "estimated",
        "estimates",
    ]
)
_REFUSALS = frozenset(["cannot", "can't", "can’t", "unable", "impossible", "insufficient"])
_REFUSING = frozenset(
    (("not", "enough"), ("not", "possible"), ("don't", "have"), ("don’t", "have"), ("no", "information"))
)
_CONCLUDES = re.compile(
    r"####|\\boxed|\b(?:answer|therefore|thus|hence|in total|in conclusion|finally|so)\b", re.IGNORECASE
)
_ENDING = frozenset(".!?}])\"'`*|0123456789")
_COUNTED = "%=/*+<>"
_DIGITS = 15  # of a number that are looked at


TRAITS = (
    "lines", "length of the last line", "comes to an end", "concludes", "ends with a number", "ends with one number",
    "hedges", "refuses", "fresh phrases", "fresh lines", "words of the prompt used", "words from the prompt",
    "numbers", "numbers of the prompt used", "numbers of the prompt left out", "numbers of its own",
    "share of its own numbers", "numbers with a fraction", "last number", "last number has a fraction",
    "last number is given", "largest number", "largest number of the prompt",
    "sums", "wrong sums", "share of wrong sums", "is JSON", "is broken JSON", "percent signs of the prompt",
    *(f"count of {sign}" for sign in _COUNTED), *SHAPE,
)  # fmt: skip


def read(text: str) -> str:
    """As much of a prompt or an answer as is looked at: what is judged must not take longer than a moment."""
    text = text.strip()
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} {text[-TAIL:]}"


def traits(prompt: str, answer: str) -> list[float]:
    """The numbers of ``TRAITS``, in its order; counts as logarithms. Of texts as they were ``read``."""
    asked, said = words(prompt), words(answer)
    return [
        *_of_form(answer, said),
        *_of_words(set(asked), set(said)),
        *_of_numbers(_numbers(prompt), _numbers(answer)),
        *_of_sums(answer),
        *_of_json(answer),
        _log(prompt.count("%")),
        *(_log(answer.count(sign)) for sign in _COUNTED),
        *map(_log, shape(answer)),
    ]


_log = math.log1p  # of counts and sizes


def _of_form(answer: str, said: list[str]) -> tuple[float, ...]:
    """Whether it comes to an end, and with what; whether it hedges, refuses or repeats itself."""
    lines = [line for line in answer.split("\n") if line.strip()]
    last = lines[-1] if lines else ""
    at_end = len(_NUMBER.findall(last))
    phrases = list(zip(said, said[1:], said[2:], strict=False))
    return (
        _log(len(lines)),
        _log(len(last)),
        float(answer[-1:] in _ENDING),
        float(_CONCLUDES.search(last) is not None),
        float(at_end > 0),
        float(at_end == 1),
        _log(sum(word in _HEDGES for word in said)),
        float(not _REFUSALS.isdisjoint(said) or not _REFUSING.isdisjoint(itertools.pairwise(said))),
        len(set(phrases)) / max(1, len(phrases)),
        len(set(lines)) / max(1, len(lines)),
    )


def _of_words(asked: set[str], said: set[str]) -> tuple[float, float]:
    """How much of the prompt it takes up, and how much of it comes from there."""
    both = len(asked & said)
    return both / max(1, len(asked)), both / max(1, len(said))


def _of_numbers(given: list[float], said: list[float]) -> tuple[float, ...]:
    """What it does with the prompt's numbers."""
    asked, used = set(given), set(said)
    own = used - asked
    last = said[-1] if said else 0.0
    return (
        _log(len(said)),
        len(asked & used) / max(1, len(asked)),
        _log(len(asked - used)),
        _log(len(own)),
        len(own) / max(1, len(used)),
        sum(map(_has_fraction, said)) / max(1, len(said)),
        _log(last),
        float(_has_fraction(last)),
        float(last in asked),
        _log(max(said, default=0.0)),
        _log(max(given, default=0.0)),
    )


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")[:_DIGITS]) for number in _NUMBER.findall(text)]


def _has_fraction(number: float) -> bool:
    return number != int(number)


def _of_sums(answer: str) -> tuple[float, float, float]:
    found, wrong = sums(answer)
    return _log(found), _log(wrong), wrong / max(1, found)


def _of_json(answer: str) -> tuple[float, float]:
    if not answer.startswith(("{", "[")):
        return 0.0, 0.0
    try:
        orjson.loads(answer)
    except orjson.JSONDecodeError:
        return 0.0, 1.0
    return 1.0, 0.0
