"""What of an answer counts beside its words: how long it is, whether it comes to an end, what it does with the numbers
of the prompt, whether its sums are right, how it hedges. Of a long text the beginning and the end are read.

None of these is the model's word on how sure it is, though hedging is one of them: alone it says little.
"""

from __future__ import annotations

import math
import re

import orjson

from laneway.triage.learned.sums import sums
from laneway.triage.learned.texts import SHAPE, shape, shortened, words

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_HEDGES = re.compile(
    r"\b(?:maybe|perhaps|might|could be|probably|possibly|approximately|roughly|assum\w*|unclear|not (?:sure|certain)"
    r"|uncertain|estimat\w*|seems?|likely|however|actually|wait|mistake|sorry)\b",
    re.IGNORECASE,
)
_REFUSALS = re.compile(
    r"\b(?:cannot|can['’]t|unable|impossible|not (?:enough|possible)|don['’]t have|no information|insufficient"
    r"|as an ai)\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"####|\\boxed|\b(?:answer|therefore|thus|hence|in total|in conclusion|finally|so)\b", re.IGNORECASE
)
_ENDED = re.compile(r"[.!?}\])\"'`*|]$|\d$")
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


def traits(prompt: str, answer: str) -> list[float]:
    """The numbers of ``TRAITS``, in its order; counts as logarithms."""
    prompt, answer = shortened(prompt), shortened(answer.strip())
    return [
        *_of_form(answer),
        *_of_words(prompt, answer),
        *_of_numbers(_numbers(prompt), _numbers(answer)),
        *_of_sums(answer),
        *_of_json(answer),
        _log(prompt.count("%")),
        *(_log(answer.count(sign)) for sign in _COUNTED),
        *map(_log, shape(answer)),
    ]


_log = math.log1p  # of counts and sizes


def _of_form(answer: str) -> tuple[float, ...]:
    """Whether it comes to an end, and with what; whether it hedges, refuses or repeats itself."""
    lines = [line for line in answer.split("\n") if line.strip()]
    last = lines[-1] if lines else ""
    at_end = len(_NUMBER.findall(last))
    of_answer = words(answer)
    phrases = list(zip(of_answer, of_answer[1:], of_answer[2:], strict=False))
    return (
        _log(len(lines)),
        _log(len(last)),
        float(_ENDED.search(answer) is not None),
        float(_CONCLUDES.search(last) is not None),
        float(at_end > 0),
        float(at_end == 1),
        _log(len(_HEDGES.findall(answer))),
        float(_REFUSALS.search(answer) is not None),
        len(set(phrases)) / max(1, len(phrases)),
        len(set(lines)) / max(1, len(lines)),
    )


def _of_words(prompt: str, answer: str) -> tuple[float, float]:
    """How much of the prompt it takes up, and how much of it comes from there."""
    asked, said = set(words(prompt)), set(words(answer))
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
