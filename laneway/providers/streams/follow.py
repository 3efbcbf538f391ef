"""Following one stream of server-sent events (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from laneway.providers.streams import chat, messages, responses
from laneway.task import Wire

END = b"[DONE]"  # what OpenAI's chats end with


class Listener(Protocol):
    """Who follows an answer while it is written. ``told``: something of it was passed on, so no other answer may take
    its place."""

    @property
    def told(self) -> bool: ...

    def hear(self, event: bytes, data: Any) -> None:
        """One event as it came, and its JSON (None where it has none)."""
        ...


class Assembly(Protocol):
    """An answer in the making."""

    complete: bool

    def add(self, data: Mapping[str, Any]) -> None: ...

    def answer(self) -> dict[str, Any]:
        """As it would have come whole."""
        ...


_ASSEMBLIES: Mapping[Wire, Callable[[], Assembly]] = {
    Wire.CHAT: chat.Chat,
    Wire.MESSAGES: messages.Message,
    Wire.RESPONSES: responses.Response,
}
STREAMED = frozenset(_ASSEMBLIES)


class Following:
    """Fed with what a response brings. Errors are kept from the listener: what becomes of them is not said yet."""

    def __init__(self, wire: Wire, listener: Listener, clean: Callable[[bytes], bytes]) -> None:
        """``clean``: takes secrets out of an event."""
        self._assembly = _ASSEMBLIES[wire]()
        self._listener = listener
        self._clean = clean
        self._rest = b""
        self._error: Mapping[str, Any] | None = None

    def feed(self, piece: bytes) -> None:
        *events, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in events:
            self._hear(self._clean(event))

    def answer(self) -> bytes | None:
        """The whole answer, or the error in its place, as JSON; None where the stream ended in the middle."""
        if self._error is not None:
            return orjson.dumps(self._error)
        return orjson.dumps(self._assembly.answer()) if self._assembly.complete else None

    def _hear(self, event: bytes) -> None:
        said = b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
        data = None
        if said and said != END:
            try:
                data = orjson.loads(said)
            except orjson.JSONDecodeError:
                return
        if isinstance(data, dict):
            if (error := _error_in(data)) is not None:
                self._error = error
            elif self._error is None:
                self._assembly.add(data)
        if self._error is None and event:
            self._listener.hear(event + b"\n\n", data)


def _error_in(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if data.get("type") == "response.failed" and isinstance(data.get("response"), dict):
        response: Mapping[str, Any] = data["response"]
        return response
    return data if data.get("error") or data.get("type") == "error" else None
