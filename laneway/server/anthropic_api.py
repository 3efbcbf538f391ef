"""Messages, as Anthropic's API has them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from laneway.server.answers import whole
from laneway.server.bodies import json_object
from laneway.server.caller import Asking
from laneway.server.calls import Calls
from laneway.server.live import Streams
from laneway.task import Wire


def anthropic_router(calls: Calls, streams: Streams, largest: int) -> APIRouter:
    """``largest``: bytes of a request."""
    router = APIRouter(prefix="/v1/messages")

    @router.post("")
    async def messages(request: Request, caller: Asking) -> Response:
        body = await json_object(request, largest)
        stream = body.pop("stream", None)
        if stream:
            return await streams.answer(request, Wire.MESSAGES, body, caller)
        return whole(await calls.answer(request, Wire.MESSAGES, body, caller))

    return router
