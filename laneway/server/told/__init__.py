"""A finished answer as the events of a stream: for answers that were there already, or came from another process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from laneway.server.envelopes import Dialect, Refusal
from laneway.server.told import chat, messages, responses
from laneway.server.told.event import named
from laneway.task import Wire

_EVENTS: Mapping[Wire, Callable[[Mapping[str, Any]], Iterator[bytes]]] = {
    Wire.MESSAGES: messages.events,
    Wire.RESPONSES: responses.events,
}


def events(wire: Wire, output: bytes, *, with_usage: bool = False) -> Iterator[bytes]:
    """Server-sent events. ``with_usage``: asked for by ``stream_options``, of Chat Completions only."""
    answer = orjson.loads(output)
    return chat.chunks(answer, with_usage=with_usage) if wire is Wire.CHAT else _EVENTS[wire](answer)


def error(wire: Wire, refusal: Refusal) -> bytes:
    """What ends a stream that cannot go on."""
    if wire is Wire.MESSAGES:
        return named(refusal.body(Dialect.ANTHROPIC))
    said = refusal.body(Dialect.OPENAI)
    if wire is Wire.RESPONSES:
        inner = said["error"]
        return named({"type": "error", **{name: inner[name] for name in ("code", "message", "param")}})
    return b"data: " + orjson.dumps(said) + b"\n\n"
