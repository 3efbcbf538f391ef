"""The application: its routers, its errors, and a worker beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from laneway.server.answers import refused
from laneway.server.anthropic_api import anthropic_router
from laneway.server.audit import Audit
from laneway.server.backpressure import Gate
from laneway.server.batches.anthropic_api import message_batches_router
from laneway.server.batches.book import Batches
from laneway.server.batches.openai_api import batches_router
from laneway.server.batches.outputs import Outputs
from laneway.server.caller import caller
from laneway.server.calls import CLIENT_GONE, Calls, ClientGone
from laneway.server.dashboard.router import dashboard_router
from laneway.server.dashboard.router import refused as refused_page
from laneway.server.envelopes import Dialect, Refusal
from laneway.server.exposition import Exposition
from laneway.server.files.api import files_router
from laneway.server.files.uploads import Uploads
from laneway.server.live import Streams
from laneway.server.login import login_router
from laneway.server.metrics import metrics_router
from laneway.server.models_api import models_router
from laneway.server.native.api import PREFIX, native_api
from laneway.server.openai_api import openai_router
from laneway.server.probes import Duty
from laneway.server.shortcut import ways
from laneway.server.tokens.keyring import Keyring
from laneway.server.watching import HttpMetrics
from laneway.server.webhooks.book import Webhooks
from laneway.task import Urgency
from laneway.version import VERSION

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


@dataclass(frozen=True, slots=True)
class Manners:
    """How calls are taken."""

    urgency: Urgency  # of those that name none
    patience: float  # seconds a client may wait for an answer
    largest: int  # bytes of a request
    works: bool = True  # a worker runs in this process


def application(
    lw: Laneway, manners: Manners, keyring: Keyring | None = None, ending: asyncio.Event | None = None
) -> FastAPI:
    """``keyring``: the guard's, which stands before it; none: anybody may ask. ``ending``: set when the server is told
    to end, so that who only listens is let go."""
    if lw.config.hides_on_pages and not lw.config.hide_content:
        lw.hide_words()
    gate = Gate(lw)
    ending = asyncio.Event() if ending is None else ending
    calls = Calls(lw, manners.urgency, manners.patience, gate, lambda: duty.shift.name)
    streams, uploads = Streams(calls), Uploads(lw)
    openai_batches, anthropic_batches = Batches(lw, Dialect.OPENAI, gate), Batches(lw, Dialect.ANTHROPIC, gate)

    webhooks = Webhooks(lw)
    duty = Duty(lw, ending, works=manners.works)

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        for kept in (uploads, openai_batches, anthropic_batches):
            await kept.sweep()
        async with duty.shift, webhooks.sending(), Audit(lw).sweeping():
            duty.started = True
            yield

    app = FastAPI(title="Laneway", version=VERSION, lifespan=working, docs_url=None, redoc_url=None, openapi_url=None)
    metrics = Exposition(lw, duty.health)
    app.state.duty, app.state.http = duty, HttpMetrics(metrics.registry)
    _explain_errors(app)
    callers = openai_router(calls, streams, manners.largest), anthropic_router(calls, streams, manners.largest)
    for router in callers:
        app.include_router(router)
    app.state.calls = ways(callers)
    app.include_router(models_router(lw))
    app.include_router(files_router(uploads, Outputs(openai_batches)))
    app.include_router(batches_router(openai_batches, uploads))
    app.include_router(message_batches_router(anthropic_batches, manners.largest))
    app.include_router(login_router(lw, keyring or Keyring(lw)))
    app.include_router(dashboard_router(lw, gate, ending))

    app.include_router(metrics_router(metrics))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "version": VERSION, "waiting": calls.waiting}

    app.mount(PREFIX, native_api(lw, gate, manners.largest, ending, webhooks))
    return app


def _explain_errors(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def no(request: Request, refusal: Refusal) -> Response:
        return refused(request, refusal)

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: ClientGone) -> Response:
        return Response(status_code=CLIENT_GONE)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = str(first["loc"][-1])
        return refused(request, Refusal(400, f"{place}: {first['msg']}", param=place))

    @app.exception_handler(404)
    async def unknown(request: Request, _: Exception) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return refused_page(Refusal(404, "There is no such page."), request, await caller(request))
        return refused(
            request, Refusal(404, f"{request.method} {request.url.path} is not served here", code="unknown_url")
        )

    @app.exception_handler(405)
    async def wrong_method(request: Request, _: Exception) -> Response:
        path, method = request.url.path, request.method
        return refused(request, Refusal(405, f"{path} does not take {method}", code="method_not_allowed"))
