"""What became of a task's route after triage: each change, when, and why. Read off its books; only what running Python
tasks were judged again to is kept for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.dispatch.order import RISES_AT, rises
from laneway.task import Outcome, State, Urgency, WaitReason

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.store.asking import Judged
    from laneway.task import Attempt, Task

FAILED = frozenset({Outcome.TRANSIENT, Outcome.REQUEST, Outcome.OUTPUT, Outcome.ESCALATED})


class Changed(NamedTuple):
    at: float
    field: str  # "urgency", "model"
    origin: str
    to: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"at": self.at, "field": self.field, "from": self.origin, "to": self.to, "reason": self.reason}


def changes(
    config: Config, task: Task, attempts: Sequence[Attempt], judged: Sequence[Judged], now: float
) -> list[Changed]:
    """In order of time. Only what laneway did by itself: what was set by hand stands in the route."""
    found = [*_rise(config, task, attempts, now), *_further_models(attempts)]
    found += [Changed(one.at, "model", one.origin, one.model, one.reason) for one in judged]
    return sorted(found)


def _rise(config: Config, task: Task, attempts: Sequence[Attempt], now: float) -> Iterator[Changed]:
    """By the rule that every worker goes by (``dispatch/order.py``): who had not started then went up by a class."""
    early = RISES_AT * config.target_wait(task.urgency)
    at = rises(task.due_at, task.urgency, early)
    started = min((attempt.started_at for attempt in attempts), default=None)
    if at is None or (started or now) <= at:
        return
    held = started is None and (task.state.ended or task.state is State.TRIAGING or _waits_for_time(task))
    if not held:
        reason = f"it had waited {RISES_AT:.0%} of its target wait"
        yield Changed(at, "urgency", task.urgency.label, Urgency(task.urgency - 1).label, reason)


def _waits_for_time(task: Task) -> bool:
    return task.wait_reason in (WaitReason.SCHEDULED, WaitReason.SHARED)


def _further_models(attempts: Sequence[Attempt]) -> Iterator[Changed]:
    """Where one model's call ended badly and the next call went to another."""
    own = [attempt for attempt in attempts if attempt.call == 0 and attempt.model]
    for before, after in pairwise(own):
        if before.model != after.model and before.outcome in FAILED:
            error = before.error or {}
            weak = before.outcome is Outcome.ESCALATED
            words = "a weak answer" if weak else f"{error.get('class')}/{error.get('code')}"
            yield Changed(after.started_at, "model", before.model, after.model, f"{before.model}: {words}")
