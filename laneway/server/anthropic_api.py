"""Messages, as Anthropic's API has them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from laneway.server.answers import streamed, whole
from laneway.server.bodies import json_object
from laneway.server.caller import Asking
from laneway.server.calls import Calls
from laneway.task import Wire


def anthropic_router(calls: Calls, largest: int) -> APIRouter:
    """``largest``: bytes of a request."""
    router = APIRouter(prefix="/v1/messages")

    @router.post("")
    async def messages(request: Request, caller: Asking) -> Response:
        body = await json_object(request, largest)
        stream = body.pop("stream", None)
        task = await calls.answer(request, Wire.MESSAGES, body, caller)
        return streamed(task) if stream else whole(task)

    return router
