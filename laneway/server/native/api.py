"""The native API as an application of its own: its errors, its OpenAPI, its routes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import FastAPI

from laneway.server.audit import Audit
from laneway.server.backpressure import Gate
from laneway.server.native.changing import Changing
from laneway.server.native.errors import ErrorAnswer, explain_errors
from laneway.server.native.events import events_router
from laneway.server.native.figures import figures_router
from laneway.server.native.gathering import gathering_router
from laneway.server.native.hub import Hub
from laneway.server.native.intake import NativeIntake
from laneway.server.native.runs import runs_router
from laneway.server.native.seeing import Seeing
from laneway.server.native.steering import steering_router
from laneway.server.native.tasks import tasks_router
from laneway.server.verbs import Verbs
from laneway.server.webhooks.book import Webhooks
from laneway.version import VERSION

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

PREFIX = "/api/v1"


def native_api(lw: Laneway, gate: Gate, largest: int, ending: asyncio.Event, webhooks: Webhooks) -> FastAPI:
    """To be mounted at ``PREFIX``. ``largest``: bytes of a request."""
    app = FastAPI(
        title="Laneway",
        version=VERSION,
        servers=[{"url": PREFIX}],
        root_path_in_servers=False,
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": ErrorAnswer}, "5XX": {"model": ErrorAnswer}},
    )
    app.state.largest = largest
    explain_errors(app)
    seeing, audit = Seeing(lw), Audit(lw)
    changing, verbs = Changing(lw, seeing), Verbs(lw, audit, gate)
    app.include_router(events_router(lw, seeing, Hub(lw, ending)))
    app.include_router(figures_router(lw, seeing))
    app.include_router(steering_router(lw, seeing, changing, verbs, audit))  # before /tasks/{ref}
    app.include_router(gathering_router(lw, changing))
    app.include_router(tasks_router(lw, NativeIntake(lw, gate, seeing, webhooks), seeing, changing, verbs))
    app.include_router(runs_router(lw, seeing))
    return app
