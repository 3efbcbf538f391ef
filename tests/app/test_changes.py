"""What explain tells of a route's changes: when a task rose, and where it went when a model failed."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.app.changes import Changed, changes
from laneway.config.models import Config
from laneway.store.asking import Judged
from laneway.task import Attempt, Outcome, State, Task, Urgency, WaitReason

NOW = 1_700_000_000.0
CONFIG = Config.model_validate({"urgency": {"standard": {"target_wait": "100s"}}})
ROSE = Changed(NOW + 50, "urgency", "standard", "urgent", "it had waited 50% of its target wait")


def task(**more: Any) -> Task:
    blank: dict[str, Any] = dict.fromkeys(Task._fields)
    fields = {"state": State.READY, "urgency": Urgency.STANDARD, "submitted_at": NOW, "due_at": NOW + 100}
    return Task(**{**blank, **fields, **more})


def attempt(at: float, model: str, outcome: Outcome | None, code: str = "server_error") -> Attempt:
    blank: dict[str, Any] = dict.fromkeys(Attempt._fields)
    error = None if outcome in (None, Outcome.OK) else {"class": "transient", "code": code}
    return Attempt(**{**blank, "call": 0, "started_at": NOW + at, "model": model, "outcome": outcome, "error": error})


@pytest.mark.parametrize(
    ("attempts", "more", "at", "rose"),
    [
        ([], {}, 49, False),
        ([], {}, 51, True),
        ([attempt(40, "small", Outcome.OK)], {"state": State.SUCCEEDED}, 999, False),
        ([attempt(60, "small", Outcome.OK)], {"state": State.SUCCEEDED}, 999, True),
        ([], {"urgency": Urgency.URGENT}, 999, False),
        ([], {"state": State.CANCELLED}, 999, False),
        ([], {"state": State.WAITING, "wait_reason": WaitReason.SCHEDULED}, 999, False),
    ],
)
def test_a_task_that_had_not_started_rose_at_half_its_target_wait(
    attempts: list[Attempt], more: dict[str, Any], at: float, rose: bool
) -> None:
    assert changes(CONFIG, task(**more), attempts, [], NOW + at) == ([ROSE] if rose else [])


def test_models_that_failed_and_judgements_are_told_in_order() -> None:
    calls = [
        attempt(1, "small", Outcome.TRANSIENT),
        attempt(2, "small", Outcome.OUTPUT, "not_json"),
        attempt(3, "middle", Outcome.ESCALATED),
        attempt(9, "strong", Outcome.OK),
    ]
    grown = Judged(NOW + 5, "middle", "strong", "the context has grown")
    assert changes(CONFIG, task(state=State.SUCCEEDED), calls, [grown], NOW + 10) == [
        Changed(NOW + 3, "model", "small", "middle", "small: transient/not_json"),
        Changed(NOW + 5, "model", "middle", "strong", "the context has grown"),
        Changed(NOW + 9, "model", "middle", "strong", "middle: a weak answer"),
    ]
