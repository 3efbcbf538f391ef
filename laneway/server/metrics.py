"""``GET /metrics`` of the server."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from laneway.errors import StoreError
from laneway.server.caller import Asking
from laneway.server.envelopes import of_error
from laneway.server.exposition import Exposition, of_all_teams


def metrics_router(exposition: Exposition) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics")
    async def metrics(_: Request, caller: Asking) -> Response:
        if not caller.sees_all:
            raise of_all_teams()
        try:
            text = await exposition.text()
        except StoreError as error:
            raise of_error(error) from error
        return Response(text, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})

    return router
