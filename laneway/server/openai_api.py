"""Chat Completions, Responses and Embeddings, as OpenAI's API has them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from laneway.server.answers import whole
from laneway.server.bodies import json_object
from laneway.server.caller import Asking
from laneway.server.calls import Calls
from laneway.server.live import Streams
from laneway.task import Wire


def openai_router(calls: Calls, streams: Streams, largest: int) -> APIRouter:
    """``largest``: bytes of a request."""
    router = APIRouter(prefix="/v1")

    @router.post("/chat/completions")
    async def chat(request: Request, caller: Asking) -> Response:
        body = await json_object(request, largest)
        stream, options = body.pop("stream", None), body.pop("stream_options", None)
        if stream:
            with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
            return await streams.answer(request, Wire.CHAT, body, caller, with_usage=with_usage)
        return whole(await calls.answer(request, Wire.CHAT, body, caller))

    @router.post("/responses")
    async def responses(request: Request, caller: Asking) -> Response:
        body = await json_object(request, largest)
        stream = body.pop("stream", None)
        body.pop("stream_options", None)
        if stream:
            return await streams.answer(request, Wire.RESPONSES, body, caller)
        return whole(await calls.answer(request, Wire.RESPONSES, body, caller))

    @router.post("/embeddings")
    async def embeddings(request: Request, caller: Asking) -> Response:
        return whole(await calls.answer(request, Wire.EMBEDDINGS, await json_object(request, largest), caller))

    return router
