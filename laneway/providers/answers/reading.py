"""Taking the JSON out of what a model wrote around it. Nothing is mended: what is taken out is what the model said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

MOST_TRIED = 50  # brackets in an answer at which JSON might begin
_OPENING = re.compile(r"[{\[]")
_THOUGHTS = re.compile(r"\s*<think(ing)?>.*?</think(ing)?>", re.DOTALL)  # local reasoning models
_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)


class Unusable(Exception):
    """An answer that is not what was asked for: a ``code`` for the books, words for the model."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Found:
    """Objects and arrays in a text, outermost ones, in order. ``broken``: one began that never ends."""

    values: list[Any]
    broken: bool


def read(text: str, fault: Callable[[Any], str | None]) -> Any:
    """The one JSON value of an answer that has no ``fault``: the whole text; else what stands in it, fenced or between
    prose; of a list with one object the object, where the list itself is not what was asked for. Raises Unusable.

    Nothing is taken from an answer in which JSON begins and does not end: whatever else stands there, it is not all
    that the model meant to say.
    """
    text = _THOUGHTS.sub("", text, count=1).strip()
    if not text:
        raise Unusable("not_json", "the answer is empty")
    try:
        return _accepted([orjson.loads(text)], fault)
    except orjson.JSONDecodeError as error:
        said = str(error)
    fenced = [match for match in _FENCED.findall(text) if _is_json(match)]
    if len(fenced) == 1 and not isinstance(value := orjson.loads(fenced[0]), dict | list):
        return _accepted([value], fault)
    found = values_in(text)
    if found.broken:
        raise Unusable("not_json", "the answer is not JSON: it breaks off, or a bracket is never closed")
    if not found.values:
        raise Unusable("not_json", f"the answer is not JSON: {said}")
    return _accepted(found.values, fault)


def read_exact(text: str, fault: Callable[[Any], str | None]) -> Any:
    """The whole text as JSON without ``fault``: for answers that are handed on as they are. Raises Unusable."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unusable("not_json", f"the answer is not JSON: {error}" if text else "the answer is empty") from None
    if wrong := fault(value):
        raise Unusable("schema", wrong)
    return value


def _accepted(values: list[Any], fault: Callable[[Any], str | None]) -> Any:
    good: list[Any] = []
    last = ""
    for value in values:
        wrong = fault(value)
        if wrong is None:
            kept = value
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and fault(value[0]) is None:
            kept = value[0]
        else:
            last = wrong
            continue
        if kept not in good:
            good.append(kept)
    if len(good) > 1:
        raise Unusable("ambiguous", f"the answer holds {len(good)} different JSON values that would do; give one only")
    if not good:
        raise Unusable("schema", last)
    return good[0]


def values_in(text: str) -> Found:
    """What a text holds in JSON objects and arrays."""
    decoder = json.JSONDecoder(strict=False, parse_constant=_refuse)  # line breaks within texts are common
    values: list[Any] = []
    at = 0
    for _ in range(MOST_TRIED):
        opening = _OPENING.search(text, at)
        if opening is None:
            return Found(values, broken=False)
        try:
            value, at = decoder.raw_decode(text, opening.start())
            orjson.dumps(value)
            values.append(value)
        except (ValueError, TypeError, RecursionError):
            closing = _closing(text, opening.start())
            if closing is None:
                return Found(values, broken=True)
            at = closing  # brackets in prose, or JSON gone wrong: what stands in them is no answer by itself
    return Found(values, broken=True)


def _closing(text: str, start: int) -> int | None:
    """The place after the bracket that closes the one at ``start``; brackets within quotes do not count."""
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"?|[{\[]|[}\]]', text[start:], re.DOTALL):
        if token[0][0] in "{[":
            depth += 1
        elif token[0][0] in "}]":
            depth -= 1
            if depth == 0:
                return start + token.end()
    return None


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")
