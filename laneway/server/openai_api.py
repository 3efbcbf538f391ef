"""The endpoints, as OpenAI's API has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from laneway.server.envelopes import Refusal
from laneway.server.guard import too_large
from laneway.server.requests import Requests, Wishes
from laneway.server.streaming import chunks
from laneway.task import Urgency, Wire
from laneway.version import VERSION

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


def application(lw: Laneway, *, urgency: Urgency, patience: float, largest: int) -> FastAPI:
    """The application with a worker of its own. ``patience``: seconds a client may wait; ``largest``: bytes."""
    requests = Requests(lw, urgency, patience)

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        async with lw.worker():
            yield

    app = FastAPI(title="Laneway", version=VERSION, lifespan=working, docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return JSONResponse(refusal.body, refusal.status, refusal.headers)

    @app.exception_handler(404)
    async def unknown(request: Request, _: Exception) -> Response:
        said = Refusal(404, f"{request.method} {request.url.path} is not served here", code="unknown_url")
        return JSONResponse(said.body, said.status, said.headers)

    @app.exception_handler(405)
    async def wrong_method(request: Request, _: Exception) -> Response:
        said = Refusal(405, f"{request.url.path} does not take {request.method}", code="method_not_allowed")
        return JSONResponse(said.body, said.status, said.headers)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "version": VERSION, "waiting": requests.waiting}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(name) for name in ("auto", *lw.catalog.models())]}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        if name not in ("auto", *lw.catalog.models()):
            raise Refusal(404, f"there is no model {name!r}", code="model_not_found", param="model")
        return _model(name)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await _body(request, largest)
        stream = body.pop("stream", None)
        options = body.pop("stream_options", None)
        task = await requests.answer(Wire.CHAT, body, _wishes(request))
        if not stream:
            return _answer(task.id, task.output or b"{}")
        with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        events = chunks(orjson.loads(task.output or b"{}"), with_usage=with_usage)
        return StreamingResponse(events, headers=_named(task.id), media_type="text/event-stream")

    @app.post("/v1/responses")
    async def responses(request: Request) -> Response:
        body = await _body(request, largest)
        if body.pop("stream", None):
            raise Refusal(400, "responses are not streamed here; leave stream out", param="stream")
        task = await requests.answer(Wire.RESPONSES, body, _wishes(request))
        return _answer(task.id, task.output or b"{}")

    @app.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        task = await requests.answer(Wire.EMBEDDINGS, await _body(request, largest), _wishes(request))
        return _answer(task.id, task.output or b"{}")

    return app


async def _body(request: Request, largest: int) -> dict[str, Any]:
    """The JSON object that was sent. Raises Refusal."""
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() != "application/json":
        raise Refusal(415, "send JSON, with the header Content-Type: application/json")  # no web page's form can
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > largest:
            raise too_large(largest)
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"the body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise Refusal(400, "the body is not a JSON object")
    return body


def _wishes(request: Request) -> Wishes:
    headers = request.headers
    return Wishes(headers.get("idempotency-key"), headers.get("x-laneway-lane"), headers.get("x-laneway-urgency"))


def _answer(task_id: int, output: bytes) -> Response:
    return Response(output, headers=_named(task_id), media_type="application/json")


def _named(task_id: int) -> dict[str, str]:
    return {"x-laneway-task": str(task_id)}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "laneway"}
