"""Errors have the shape and the status that each provider's clients know."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.errors import BudgetError, StoreError
from laneway.server.envelopes import Dialect, Refusal, dialect_of, of_error, of_task
from laneway.task import Failure, FailureClass, Route, State, Task, Urgency, Wire

FAILED = Task(
    id=7,
    run_id=1,
    key=None,
    type="chat",
    wire=Wire.CHAT,
    state=State.FAILED,
    wait_reason=None,
    wake_at=None,
    model="small",
    lane="general",
    urgency=Urgency.IMMEDIATE,
    route=Route("general", Urgency.IMMEDIATE, "small"),
    input_tokens=1,
    output_tokens=1,
    attempts=1,
    submitted_at=0.0,
    due_at=0.0,
    deadline=None,
    settled_at=1.0,
    tags=(),
    team=None,
    body=b"{}",
    record=None,
    output=None,
    error=None,
)


def refusal(cls: FailureClass, code: str = "", status: int | None = None) -> Refusal:
    return of_task(FAILED._replace(error=Failure(cls, code, "because", status).as_json()))


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        ((FailureClass.REQUEST, "context_length_exceeded", 400), 400, "invalid_request_error"),
        ((FailureClass.REQUEST, "", 413), 413, "request_too_large"),
        ((FailureClass.REQUEST, "model", 403), 400, "invalid_request_error"),
        ((FailureClass.REQUEST, "refusal", 200), 400, "invalid_request_error"),
        ((FailureClass.TRANSIENT, "rate_limit_exceeded", 429), 429, "rate_limit_error"),
        ((FailureClass.TRANSIENT, "server_error", 500), 503, "overloaded_error"),
        ((FailureClass.TRANSIENT, "timeout", None), 504, "timeout_error"),
        ((FailureClass.ACCOUNT, "invalid_api_key", 401), 503, "overloaded_error"),
        ((FailureClass.OUTPUT, "schema", None), 502, "api_error"),
    ],
)
def test_failed_tasks(failure: tuple[Any, ...], status: int, kind: str) -> None:
    said = refusal(*failure)
    assert said.status == status
    assert said.body(Dialect.ANTHROPIC) == {"type": "error", "error": {"type": kind, "message": "because"}}
    assert said.body(Dialect.OPENAI)["error"]["message"] == "because"
    assert said.headers["x-should-retry"] == "false", "we have tried"
    assert said.headers["x-laneway-task"] == "7"
    assert ("retry-after" in said.headers) == (status in (429, 503))


def test_what_we_refuse_ourselves_says_when_to_come_back() -> None:
    away = of_error(StoreError("the database is away"))
    assert (away.status, away.headers["retry-after"]) == (503, "5")
    assert "x-should-retry" not in away.headers, "it did not begin: the same request may be sent again"
    assert of_error(BudgetError("used up")).body(Dialect.OPENAI)["error"]["type"] == "insufficient_quota"
    assert Refusal(429, "wait", retry_after=1.2).headers["retry-after"] == "2"


def test_a_cancelled_task_is_a_conflict() -> None:
    assert of_task(FAILED._replace(state=State.CANCELLED)).status == 409


@pytest.mark.parametrize(
    ("path", "headers", "dialect"),
    [
        ("/v1/messages", {}, Dialect.ANTHROPIC),
        ("/v1/messages/batches/x/results", {}, Dialect.ANTHROPIC),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, Dialect.ANTHROPIC),
        ("/v1/models", {}, Dialect.OPENAI),
        ("/v1/messagesx", {}, Dialect.OPENAI),
    ],
)
def test_whose_manners(path: str, headers: dict[str, str], dialect: Dialect) -> None:
    assert dialect_of(path, headers) is dialect
