"""Reading what a client sends, within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import Request

from laneway.server.envelopes import Refusal
from laneway.server.guard import too_large


async def pieces(request: Request, largest: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Refusal when it is larger than ``largest`` bytes."""
    left = largest
    async for piece in request.stream():
        left -= len(piece)
        if left < 0:
            raise too_large(largest)
        yield piece


async def json_object(request: Request, largest: int) -> dict[str, Any]:
    """The JSON object that was sent. Raises Refusal."""
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() != "application/json":
        raise Refusal(415, "send JSON, with the header Content-Type: application/json")  # no web page's form can
    content = bytearray()
    async for piece in pieces(request, largest):
        content += piece
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"the body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise Refusal(400, "the body is not a JSON object")
    return body
