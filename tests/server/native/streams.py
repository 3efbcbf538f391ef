"""Following a stream of events without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson

from laneway.server.caller import KNOWN_AS, LOCAL, Caller
from tests.server.native.asking import Asker

PATIENCE_S = 20.0


class Event(NamedTuple):
    name: str
    id: str | None
    data: Any


class Stream:
    def __init__(self, status: int, pieces: asyncio.Queue[bytes | None]) -> None:
        self.status = status
        self._pieces = pieces

    async def raw(self) -> bytes | None:
        """None: it has ended."""
        return await asyncio.wait_for(self._pieces.get(), PATIENCE_S)

    async def next(self, name: str | None = None) -> Event | None:
        """The next event, or the next of this name."""
        while (piece := await self.raw()) is not None:
            fields = dict(line.partition(": ")[::2] for line in piece.decode().splitlines() if line)
            if "event" in fields and name in (None, fields["event"]):
                return Event(fields["event"], fields.get("id"), orjson.loads(fields["data"]))
        return None


@asynccontextmanager
async def listening(api: Asker, path: str, *, who: Caller = LOCAL, last: str | None = None) -> AsyncIterator[Stream]:
    """Hangs up at the end of the block."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    gone = asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await gone.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.set_result(message["status"])
        elif message.get("body"):
            pieces.put_nowait(message["body"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"/api/v1{path}",
        "raw_path": f"/api/v1{path}".encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")] + ([(b"last-event-id", last.encode())] if last else []),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        KNOWN_AS: who,
    }

    async def served() -> None:
        try:
            await api.app(scope, receive, send)
        finally:
            pieces.put_nowait(None)

    serving = asyncio.create_task(served())
    try:
        yield Stream(await asyncio.wait_for(status, PATIENCE_S), pieces)
    finally:
        gone.set()
        await asyncio.wait_for(serving, PATIENCE_S)
