"""Server-sent events, read on after every break (WHATWG HTML, 9.2)."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from laneway.client.plans import asked
from laneway.client.shapes import Event
from laneway.client.steps import READ, Give, Plan, Request, Wait
from laneway.errors import ServerUnreachable

SILENT_S = 45.0  # after which a stream is dead: the server says something every 15 s
AGAIN_S = 1.0


class Lines:
    """Puts events together from pieces that end anywhere. The server ends lines with LF."""

    def __init__(self) -> None:
        self._rest = b""
        self._name, self._id = "", None
        self._data: list[bytes] = []

    _id: str | None

    def feed(self, piece: bytes) -> Iterator[Event]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if line:
                self._take(line.rstrip(b"\r"))
            elif self._data:
                yield Event(self._name or "message", self._id, orjson.loads(b"\n".join(self._data)))
                self._name, self._data = "", []

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = value.decode()
        elif name == b"id":
            self._id = value.decode()
        elif name == b"data":
            self._data.append(value)


def listened(path: str, after: int | str | None, patience: float, *, until_ended: bool = False) -> Plan[None]:
    """Give the events of a path. ``after``: an event's id. ``until_ended``: of one task, whose end is the last."""
    seen = None if after is None else str(after)
    while True:
        headers = {"Accept": "text/event-stream", **({} if seen is None else {"Last-Event-ID": seen})}
        yield from asked(Request("GET", path, headers=headers, stream=True, timeout=SILENT_S), patience)
        lines, ended = Lines(), False
        try:
            while piece := (yield READ):
                for event in lines.feed(piece):
                    seen = event.id or seen
                    yield Give(event)
                    ended = until_ended and event.task.ended
        except ServerUnreachable:
            pass
        if ended:
            return
        yield Wait(AGAIN_S)
