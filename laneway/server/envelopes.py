"""Errors as OpenAI's API sends them, so that its clients raise what their users expect (OpenAI, "Error codes")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laneway.errors import LanewayError
from laneway.task import FailureClass, State, Task


@dataclass(eq=False)
class Refusal(Exception):
    """A request that gets no answer."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    again: bool = False  # whether the same request may go well later
    task: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """``x-should-retry`` is heeded by OpenAI's clients: Laneway has retried already."""
        named = {} if self.task is None else {"x-laneway-task": str(self.task)}
        return named if self.again else {**named, "x-should-retry": "false"}


_KINDS: Mapping[str, tuple[int, str]] = {
    "usage": (400, "invalid_request_error"),
    "config": (500, "server_error"),
    "input": (400, "invalid_request_error"),
    "conflict": (409, "invalid_request_error"),
    "not_found": (404, "invalid_request_error"),
    "auth": (500, "server_error"),
    "budget": (429, "insufficient_quota"),
    "timeout": (504, "server_error"),
    "store": (503, "server_error"),
}


def of_error(error: LanewayError, task: int | None = None) -> Refusal:
    """What Laneway itself refused."""
    status, kind = _KINDS.get(error.kind, (500, "server_error"))
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    return Refusal(status, message, kind, error.kind, task=task, again=status == 503)


def of_task(task: Task) -> Refusal:
    """What became of a task that ended without an answer."""
    if task.state is State.CANCELLED:
        return Refusal(409, f"task {task.id} was cancelled", code="cancelled", task=task.id)
    error = task.error or {}
    message, code, status = str(error.get("message", "")), error.get("code"), error.get("status")
    if error.get("class") == FailureClass.REQUEST:
        refused = isinstance(status, int) and 400 <= status < 500 and status not in (401, 402, 403, 408, 429)
        return Refusal(int(status or 400) if refused else 400, message, code=code, task=task.id)
    if error.get("class") in (FailureClass.TRANSIENT, FailureClass.ACCOUNT):
        return Refusal(503, message, "server_error", code, task=task.id)
    return Refusal(502, message, "server_error", code, task=task.id)
