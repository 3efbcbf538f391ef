"""The models that may be asked for: those of the config, and ``auto``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from laneway.server.envelopes import Dialect, Refusal, dialect_of

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

AUTO = "auto"  # triage chooses


def models_router(lw: Laneway) -> APIRouter:
    router = APIRouter(prefix="/v1/models")

    def names() -> list[str]:
        return [AUTO, *lw.catalog.models()]

    @router.get("")
    async def models(request: Request) -> dict[str, Any]:
        if dialect_of(request.url.path, request.headers) is Dialect.ANTHROPIC:
            data = [_of_anthropic(name) for name in names()]
            return {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
        return {"object": "list", "data": [_of_openai(name) for name in names()]}

    @router.get("/{name:path}")
    async def model(request: Request, name: str) -> dict[str, Any]:
        if name not in names():
            raise Refusal(404, f"there is no model {name!r}", code="model_not_found", param="model")
        anthropic = dialect_of(request.url.path, request.headers) is Dialect.ANTHROPIC
        return _of_anthropic(name) if anthropic else _of_openai(name)

    return router


def _of_openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "laneway"}


def _of_anthropic(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
