"""Server-sent events (WHATWG HTML, 9.2): what is sent, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT_S = 15.0  # proxies close what is silent for a minute
HEARTBEAT = b": still here\n\n"
EVENTS = "text/event-stream"
RETRY = b"retry: 2000\n\n"  # ms after which a browser comes back


def event(name: str, data: Any, id_: object = None) -> bytes:
    """``data`` as JSON, which holds no line's end."""
    said = b"" if id_ is None else f"id: {id_}\n".encode()
    return said + b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


class EventStream(Response):
    """Ends when its events do, or the client hangs up; then they are closed, at once."""

    media_type = EVENTS

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        self.status_code, self.background = 200, None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pump() -> None:
            async with aclosing(self._events):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for piece in self._events:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})

        async def hung_up() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        pumping, gone = asyncio.ensure_future(pump()), asyncio.ensure_future(hung_up())
        try:
            await asyncio.wait((pumping, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (pumping, gone):
                one.cancel()
            await asyncio.wait((pumping, gone))
        if not pumping.cancelled():
            with suppress(ClientDisconnect, OSError):
                pumping.result()
