"""Of a task, what the classifier was asked about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from laneway.cli.common import printable

if TYPE_CHECKING:
    from laneway.task import Task


def question_line(task: Task, asked: dict[str, Any]) -> str:
    """When the classifier was asked, and what came of it."""
    when = time.strftime("%H:%M:%S", time.localtime(asked["at"]))
    cost = "" if asked["cost_usd"] is None else f", ${asked['cost_usd']:.6f}"
    if asked["said"]:
        said = ", ".join(f"{field} {printable(label)}" for field, label in asked["said"].items())
    elif asked["said"] is not None:
        said = "it would not say"
    elif asked["answered_at"] is None and task.wait_reason == "triage":
        said = "no answer yet"
    else:
        said = "no usable answer in time, so the safe route"
    if asked["said"] and asked["answered_at"] and not _by_classifier(task):
        said += " (too late: it had gone on with its safe route)"
    return f"the classifier was asked at {when} (task {asked['task']}{cost}): {said}"


def _by_classifier(task: Task) -> bool:
    return any(reason.startswith("classifier") for reason in task.route.reasons.values())
