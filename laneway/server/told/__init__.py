"""A finished answer as the events of a stream: for answers that were there already, or came from another process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from laneway.server.told import chat, messages, responses
from laneway.task import Wire

_EVENTS: Mapping[Wire, Callable[[Mapping[str, Any]], Iterator[bytes]]] = {
    Wire.MESSAGES: messages.events,
    Wire.RESPONSES: responses.events,
}


def events(wire: Wire, output: bytes, *, with_usage: bool = False) -> Iterator[bytes]:
    """Server-sent events. ``with_usage``: asked for by ``stream_options``, of Chat Completions only."""
    answer = orjson.loads(output)
    return chat.chunks(answer, with_usage=with_usage) if wire is Wire.CHAT else _EVENTS[wire](answer)
