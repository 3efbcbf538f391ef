"""Errors as the provider whose API was asked sends them, so that its clients raise what their users expect.

Sources: OpenAI, "Error codes"; Anthropic, "Errors".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from laneway.errors import LanewayError
from laneway.task import FailureClass, State, Task


class Dialect(StrEnum):
    """Whose manners an answer has."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    NATIVE = "native"


def dialect_of(path: str, headers: Mapping[str, str]) -> Dialect:
    """``headers``: with names in lower case. Paths that both providers have are told apart by Anthropic's header."""
    if path.startswith("/api/"):
        return Dialect.NATIVE
    if path == "/v1/messages" or path.startswith("/v1/messages/") or "anthropic-version" in headers:
        return Dialect.ANTHROPIC
    return Dialect.OPENAI


_ANTHROPIC_KINDS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_NATIVE_KINDS: Mapping[int, str] = {
    401: "auth",
    403: "auth",
    404: "not_found",
    409: "conflict",
    413: "limit",
    429: "limit",
    503: "store",
    504: "timeout",
}
SOON_S = 5.0  # after which the same request may be tried again, where nothing more is known


@dataclass(eq=False)
class Refusal(Exception):
    """A request that gets no answer. ``type``: OpenAI's word; Anthropic's follows from the status."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    again: bool = False  # whether the same request may go well later
    task: int | None = None
    retry_after: float | None = None  # seconds

    def body(self, dialect: Dialect) -> dict[str, Any]:
        if dialect is Dialect.ANTHROPIC:
            kind = _ANTHROPIC_KINDS.get(self.status, "api_error" if self.status >= 500 else "invalid_request_error")
            return {"type": "error", "error": {"type": kind, "message": self.message}}
        if dialect is Dialect.NATIVE:
            kind = _NATIVE_KINDS.get(self.status, "internal" if self.status >= 500 else "usage")
            return {"error": {"kind": kind, "message": self.message, "hint": ""}}
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """``x-should-retry`` is heeded by both providers' clients: where Laneway has retried already, they need not."""
        named = {} if self.task is None else {"x-laneway-task": str(self.task)}
        if self.status in (429, 503):
            named["retry-after"] = str(math.ceil(self.retry_after or SOON_S))
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
    """What became of a task that ended without an answer. A provider's 401 or 403 is none of the client's business:
    the key is the server's."""
    if task.state is State.CANCELLED:
        return Refusal(409, f"task {task.id} was cancelled", code="cancelled", task=task.id)
    error = task.error or {}
    message, code, status = str(error.get("message", "")), error.get("code"), error.get("status")
    if error.get("class") == FailureClass.REQUEST:
        refused = isinstance(status, int) and 400 <= status < 500 and status not in (401, 402, 403, 408, 429)
        return Refusal(int(status or 400) if refused else 400, message, code=code, task=task.id)
    if status == 429:
        return Refusal(429, message, "rate_limit_error", code, task=task.id)
    if code == "timeout":
        return Refusal(504, message, "server_error", code, task=task.id)
    if error.get("class") in (FailureClass.TRANSIENT, FailureClass.ACCOUNT):
        return Refusal(503, message, "server_error", code, task=task.id)
    return Refusal(502, message, "server_error", code, task=task.id)
