"""A task's time limit: from its first call's start over retries, pauses between them, fallbacks and outages."""

from __future__ import annotations

import dataclasses
import math

from laneway.providers.model import Reply
from laneway.task import Claimed, Failure, FailureClass, Settlement, State, Usage

CODE = "time_limit"
_OUR_WORDS = ("timeout", "connection")  # failures whose message holds nothing that a provider said


def left_s(task: Claimed, now: float) -> float:
    """Seconds that the task still has, without bound where it has no limit."""
    limit = task.spec.time_limit
    return math.inf if limit is None else task.begun_at + limit - now


def out_of_time(task: Claimed, now: float, *, called: bool) -> Reply:
    """The end of a call that the limit broke off, or (``called`` False) of one that was not made: it says nothing of
    the provider."""
    took = max(0.0, now - task.claimed_at) if called else 0.0
    last = f"broken off after {duration(took)}" if called else ""
    failure = _failure(task, now, task.attempts + task.refusals + called, last)
    return Reply(None, None if called else Usage(), failure, took, heard=False)  # what was not made cost nothing


def within_limit(task: Claimed, settlement: Settlement, now: float) -> Settlement:
    """The settlement, or the task's failure where its next call could only start when its time is up. A task that
    waits for its account is left alone: somebody else decides how long that takes."""
    failure = settlement.failure
    if settlement.state.ended or failure is None or failure.cls is FailureClass.ACCOUNT:
        return settlement
    if left_s(task, settlement.wake_at or now) > 0:
        return settlement
    if failure.code != CODE:
        failure = _failure(task, now, task.attempts + task.refusals + 1, _words(failure))
    return dataclasses.replace(
        settlement, state=State.FAILED, failure=failure, wake_at=None, model=None, complaint=None
    )


def _failure(task: Claimed, now: float, calls: int, last: str) -> Failure:
    limit = duration(task.spec.time_limit or 0.0)
    took = duration(max(0.0, now - task.begun_at))
    said = f"not done within its time limit of {limit}: {calls} call{'s' if calls != 1 else ''} in {took}"
    return Failure(FailureClass.TRANSIENT, CODE, f"{said}, the last: {last}" if last else said)


def _words(failure: Failure) -> str:
    if failure.code in _OUR_WORDS and failure.status is None:
        return failure.message
    return failure.code if failure.status is None else f"{failure.code} ({failure.status})"


def duration(seconds: float) -> str:
    """``0.3 s``, ``14 s``, ``10 min``, ``2.5 h``."""
    if seconds < 1:
        return f"{seconds:.1g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
