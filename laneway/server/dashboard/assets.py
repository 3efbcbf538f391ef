"""The files that pages load: all of them our own, read once, named by their content so that browsers may keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from laneway.server.envelopes import Refusal

FOLDER = Path(__file__).parent / "static"
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """By name: the content and its fingerprint."""
    found = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in KINDS}
    return {name: (content, hashlib.sha256(content).hexdigest()[:12]) for name, content in found.items()}


def asset(name: str) -> str:
    """Its URL."""
    return f"/static/{name}?v={_files()[name][1]}"


def assets_router() -> APIRouter:
    router = APIRouter()

    @router.get("/static/{name}")
    async def static(name: str, request: Request) -> Response:
        if name not in _files():
            raise Refusal(404, "there is no such file", code="unknown_url")
        content, print_ = _files()[name]
        kept = FOR_EVER if request.query_params.get("v") == print_ else "no-cache"
        return Response(content, media_type=KINDS[Path(name).suffix], headers={"Cache-Control": kept})

    return router
