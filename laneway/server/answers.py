"""Answers as they go out: in the format that was asked in, with the task's number beside them."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from laneway.app.jobs import Answered
from laneway.server import told
from laneway.server.envelopes import Refusal, dialect_of
from laneway.task import Task


def whole(task: Task | Answered) -> Response:
    return Response(task.output or b"{}", headers=named(task.id), media_type="application/json")


def streamed(task: Task | Answered, *, with_usage: bool = False) -> Response:
    """A finished answer, in pieces."""
    events = told.events(task.wire, task.output or b"{}", with_usage=with_usage)
    return StreamingResponse(events, headers=named(task.id), media_type="text/event-stream")


def named(task_id: int) -> dict[str, str]:
    return {"x-laneway-task": str(task_id)}


def refused(request: Request, refusal: Refusal) -> Response:
    """In the shape of the API that was asked."""
    dialect = dialect_of(request.url.path, request.headers)
    return JSONResponse(refusal.body(dialect), refusal.status, refusal.headers)
