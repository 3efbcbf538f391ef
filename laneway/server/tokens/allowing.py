"""What a token lets its owner ask for: its lanes, and how urgent it may be."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from laneway.app.due import due_at
from laneway.server.caller import Caller
from laneway.server.envelopes import Refusal
from laneway.task import NewTask, Urgency

if TYPE_CHECKING:
    from laneway.config.models import Config


def check_lane(caller: Caller, lane: str) -> None:
    """Raises Refusal."""
    if caller.lanes is not None and lane not in caller.lanes:
        lanes = ", ".join(sorted(caller.lanes)) or "none"
        raise Refusal(403, f"the token {caller.name!r} may not use the lane {lane!r}; its lanes: {lanes}", code="lane")


def check_urgency(caller: Caller, wish: Urgency) -> None:
    """For what was asked for in so many words. Raises Refusal."""
    if caller.highest is not None and wish < caller.highest:
        message = f"the token {caller.name!r} may ask for {caller.highest.label} at most, not {wish.label}"
        raise Refusal(403, message, code="urgency")


def allowed(caller: Caller, task: NewTask, config: Config, now: float) -> NewTask:
    """The task as the caller may have it: what nobody asked for is lowered. Raises Refusal where its lane is not the
    caller's to use."""
    route = task.route
    check_lane(caller, route.lane)
    if caller.highest is None or route.urgency >= caller.highest:
        return task
    reasons = {**route.reasons, "urgency": f"the highest of the token {caller.name}"}
    since = now if task.wake_at is None else task.wake_at
    due = due_at(since, config.target_wait(caller.highest), task.deadline, task.input_tokens, task.output_tokens)
    return dataclasses.replace(task, route=route._replace(urgency=caller.highest, reasons=reasons), due_at=due)
