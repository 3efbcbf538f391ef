"""The server's errors as Laneway's own, with its message and hint."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import Any

import orjson

from laneway import errors
from laneway.client.steps import Answer
from laneway.errors import LanewayError

KINDS: Mapping[str, type[LanewayError]] = {
    "usage": errors.UsageError,
    "config": errors.ConfigError,
    "input": errors.InputError,
    "conflict": errors.ConflictError,
    "not_found": errors.NotFoundError,
    "auth": errors.AuthError,
    "budget": errors.BudgetError,
    "limit": errors.LimitError,
    "provider": errors.ProviderError,
    "store": errors.StoreError,
    "timeout": errors.WaitTimeout,
    "cancelled": errors.TaskCancelled,
}


def refusal(answer: Answer) -> LanewayError:
    """Of an answer that is none."""
    if 300 <= answer.status < 400:
        place = answer.headers.get("location", "elsewhere")
        return errors.UsageError(f"the server sends us to {place}", hint="give that address, if you trust it")
    try:
        said = orjson.loads(answer.body)["error"]
        message, hint, kind = str(said["message"]), str(said.get("hint") or ""), str(said.get("kind"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return LanewayError(f"the server answered with HTTP {answer.status}", hint="is this the address of Laneway?")
    found = KINDS.get(kind, LanewayError)
    if found is LanewayError and answer.status in (401, 403):
        found = errors.AuthError
    return found(message, hint=hint)


def retry_after(answer: Answer) -> float | None:
    """Seconds (RFC 9110, 10.2.3: a number, or a date)."""
    said = answer.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None


def task_error(name: str, state: str, error: Mapping[str, Any] | None, task_id: int) -> LanewayError:
    """Why a task has no answer."""
    if state == "cancelled":
        return errors.TaskCancelled(f"{name} was cancelled")
    from laneway.task import Failure, FailureClass

    said = error or {}
    class_ = next((one for one in FailureClass if one.value == said.get("class")), FailureClass.CODE)
    failure = Failure(class_, said.get("code") or "", said.get("message") or "", said.get("status"))
    hint = f"explain({task_id}) tells of every attempt"
    return errors.TaskFailed(f"{name} failed: {failure.message}", hint=hint, failure=failure)
