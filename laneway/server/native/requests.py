"""Requests as this API reads them: JSON by a strict reader, within bounds, and only where it is called that."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from laneway.server.bodies import pieces
from laneway.server.envelopes import Refusal

NDJSON = "application/x-ndjson"


class JsonRequest(Request):
    """``app.state.largest``: bytes of a request."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            content = bytearray()
            async for piece in pieces(self, self.app.state.largest):
                content += piece
            if content and media_type(self) != "application/json":  # no web page's form can send that
                raise Refusal(415, "send JSON, with the header Content-Type: application/json", code="usage")
            self._body = bytes(content)
        return self._body

    async def json(self) -> Any:
        return orjson.loads(await self.body())  # refuses halves of characters, NaN and what is nested too deeply


class JsonRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handled


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().casefold()
