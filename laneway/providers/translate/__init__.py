"""From one provider's format to another's, and the answer back. What cannot be carried over is named, not dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from laneway.errors import InputError
from laneway.providers.translate import chat_to_messages, messages_to_chat, responses_to_chat
from laneway.task import Wire

FORMATS: Mapping[Wire, str] = {
    Wire.CHAT: "Chat Completions",
    Wire.MESSAGES: "Anthropic Messages",
    Wire.RESPONSES: "OpenAI Responses",
    Wire.EMBEDDINGS: "OpenAI Embeddings",
}


@dataclass(frozen=True, slots=True)
class _Step:
    """One translation: what of a body it cannot carry, the body, and the answer on its way back."""

    untranslatable: Callable[[Mapping[str, Any]], str | None]
    body: Callable[[Mapping[str, Any]], dict[str, Any]]
    answer: Callable[[Mapping[str, Any]], dict[str, Any]]


_TO_MESSAGES = _Step(chat_to_messages.untranslatable, chat_to_messages.body, chat_to_messages.answer)
_TO_CHAT = _Step(messages_to_chat.untranslatable, messages_to_chat.body, messages_to_chat.answer)
_OUT_OF_RESPONSES = _Step(responses_to_chat.untranslatable, responses_to_chat.body, responses_to_chat.answer)
_WAYS: Mapping[tuple[Wire, Wire], tuple[_Step, ...]] = {
    (Wire.CHAT, Wire.MESSAGES): (_TO_MESSAGES,),
    (Wire.MESSAGES, Wire.CHAT): (_TO_CHAT,),
    (Wire.RESPONSES, Wire.CHAT): (_OUT_OF_RESPONSES,),
    (Wire.RESPONSES, Wire.MESSAGES): (_OUT_OF_RESPONSES, _TO_MESSAGES),
}
_CARRIERS: Mapping[Wire, tuple[Wire, ...]] = {
    wire: (wire, *(to for source, to in _WAYS if source is wire)) for wire in Wire
}
_NO_WAY: Mapping[Wire, Mapping[Wire, str]] = {
    wire: {to: f"a request for {FORMATS[wire]}" for to in FORMATS if to is not wire and (wire, to) not in _WAYS}
    for wire in FORMATS
}
_MALFORMED = (TypeError, AttributeError, LookupError, ValueError)  # of a body that is not what its format says
_UNSOUND = "a malformed body"


def ways(wire: Wire) -> tuple[Wire, ...]:
    """The formats that bodies of this one can be sent in, its own first, then the nearest."""
    return _CARRIERS[wire]


def refusals(wire: Wire, body: Mapping[str, Any]) -> Mapping[Wire, str]:
    """All other formats that cannot carry this body, and what of it they cannot, in words that are the same for many
    bodies. Bodies that can go wherever their format can share one mapping. Never raises, whatever the body is."""
    never = _NO_WAY.get(wire, {})
    found = {to: what for to in ways(wire)[1:] if (what := _untranslatable(wire, to, body))}
    return {**never, **found} if found else never


class Refusals(Mapping[Wire, str]):
    """``refusals`` of a body as it is stored, worked out when they depend on it: most bodies are sent as they are."""

    __slots__ = ("_body", "_found", "_wire")

    def __init__(self, wire: Wire, body: bytes) -> None:
        self._wire = wire
        self._body = body
        self._found: Mapping[Wire, str] | None = None

    def __contains__(self, to: object) -> bool:
        return to is not self._wire and (to in _NO_WAY.get(self._wire, {}) or to in self._all())

    def __getitem__(self, to: Wire) -> str:
        return self._all()[to]

    def __iter__(self) -> Iterator[Wire]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> Mapping[Wire, str]:
        if self._found is None:
            self._found = refusals(self._wire, orjson.loads(self._body))
        return self._found


def _untranslatable(wire: Wire, to: Wire, body: Mapping[str, Any]) -> str | None:
    steps = _WAYS[wire, to]
    try:
        for step in steps:
            if what := step.untranslatable(body):
                return what
            if step is not steps[-1]:
                body = step.body(body)
    except _MALFORMED:
        return _UNSOUND
    return None


def translate(wire: Wire, to: Wire, body: Mapping[str, Any]) -> dict[str, Any]:
    """A body as one of another format, without its model. Raises InputError for what cannot be carried over."""
    what = refusals(wire, body).get(to)
    made: Mapping[str, Any] = body
    try:
        for step in _WAYS[wire, to] if what is None else ():
            made = step.body(made)
    except _MALFORMED:
        what = _UNSOUND
    if what is not None:
        raise InputError(
            f"{what} cannot be carried over into {FORMATS[to]}",
            hint=f"choose a model whose provider takes {FORMATS[wire]}",
        )
    return dict(made)


def translate_answer(wire: Wire, to: Wire, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a body that was sent in format ``to``, in the body's own format ``wire``."""
    made: Mapping[str, Any] = answer
    for step in reversed(_WAYS[wire, to]):
        made = step.answer(made)
    return dict(made)
