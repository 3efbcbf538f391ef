"""Errors of the native API: ``{"error": {"kind", "message", "hint"}}``, with the command line's kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from laneway.errors import LanewayError
from laneway.server.calls import CLIENT_GONE, ClientGone
from laneway.server.envelopes import Dialect, Refusal

Kind = Literal[
    "usage", "config", "input", "conflict", "not_found", "auth", "budget", "limit", "provider", "store", "timeout",
    "cancelled", "internal",
]  # fmt: skip
STATUS: Mapping[str, int] = {
    "usage": 400,
    "input": 400,
    "conflict": 409,
    "not_found": 404,
    "budget": 429,
    "limit": 429,
    "timeout": 504,
    "store": 503,
}  # all others: 500


class Fault(BaseModel):
    """What is wrong with one of many tasks."""

    index: int
    message: str


class ErrorBody(BaseModel):
    kind: Kind
    message: str
    hint: str
    items: list[Fault] | None = None


class ErrorAnswer(BaseModel):
    """Any answer of 400 and above."""

    error: ErrorBody


class ItemFaults(LanewayError):
    """Some of many tasks cannot be taken, so that none was."""

    kind = "input"

    def __init__(self, faults: Mapping[int, str], *, conflict: bool = False) -> None:
        first = next(iter(sorted(faults.items())))
        super().__init__(
            f"{len(faults):,} of the tasks cannot be taken; [{first[0]}]: {first[1]}",
            hint="correct them and send all again: none was taken",
        )
        self.status = 409 if conflict else 400
        self.items = [{"index": index, "message": message[:300]} for index, message in sorted(faults.items())[:500]]


def explain_errors(app: FastAPI) -> None:
    @app.exception_handler(LanewayError)
    async def failed(_: Request, error: LanewayError) -> Response:
        body: dict[str, Any] = error.as_json()
        status = STATUS.get(error.kind, 500)
        if isinstance(error, ItemFaults):
            body["error"]["items"], status = error.items, error.status
        return JSONResponse(body, status, {"retry-after": "5"} if status in (429, 503) else None)

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return JSONResponse(refusal.body(Dialect.NATIVE), refusal.status, refusal.headers)

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: ClientGone) -> Response:
        return Response(status_code=CLIENT_GONE)

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> Response:
        return JSONResponse(envelope("internal", "an internal error; the server's log has it"), 500)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        said = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:3]]
        return JSONResponse(envelope("usage", "; ".join(said)[:1_000]), 400)

    @app.exception_handler(HTTPException)
    async def not_served(request: Request, error: HTTPException) -> Response:
        kind = "not_found" if error.status_code == 404 else "usage"
        said = f"{request.method} {request.url.path}: {error.detail}"
        return JSONResponse(envelope(kind, said), error.status_code, error.headers)


def envelope(kind: str, message: str, hint: str = "") -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message, "hint": hint}}
