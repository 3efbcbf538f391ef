"""What happened to a task, in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from laneway.app.explaining import Explanation
from laneway.app.webhooks import progress, receiver
from laneway.server.dashboard import words
from laneway.store.webhooks import HookState
from laneway.task import Attempt, Outcome, State, WaitReason, is_flow, needs_account

MOST = 60  # events; of more the first and the last

WAITS = {
    WaitReason.RETRY: "waits for another try",
    WaitReason.SCHEDULED: "waits for the time set",
    WaitReason.SHARED: "waits for an earlier task of the same key",
    WaitReason.BUDGET: "waits for the budget of its type",
    WaitReason.TRIAGE: "waits for the classifier's verdict",
    WaitReason.CHILDREN: "waits for tasks that it began",
    WaitReason.EVENT: "waits for an event from outside",
}


class Event(NamedTuple):
    """``kind``: a CSS class."""

    at: float
    title: str
    detail: str = ""
    kind: str = ""


def timeline(found: Explanation, now: float) -> list[Event]:
    events = sorted(_events(found), key=lambda event: event.at)  # stable: at one time as they are told below
    if len(events) > MOST:
        left_out = len(events) - MOST
        middle = Event(events[MOST // 2].at, f"{left_out:,} more between these")
        events = [*events[: MOST // 2], middle, *events[len(events) - MOST // 2 :]]
    return [*events, *_standing(found, now)]


def _events(found: Explanation) -> Iterator[Event]:
    task = found.task
    yield Event(task.submitted_at, "Submitted", f"as {task.type}, in run {task.run_id}")
    yield Event(task.submitted_at, "Triaged", _decided(found))
    for one in found.asked:
        said = one["said"]
        told = ", ".join(f"{name}: {label}" for name, label in said.items()) if said else ""
        yield Event(one["at"], "Classifier asked", f"together with {one['together_with']:,} others")
        if one["answered_at"] is not None:
            yield Event(one["answered_at"], "Classifier answered", told or "it would not say")
    if not is_flow(task.model):
        for number, attempt in enumerate(found.attempts, 1):
            yield _called(number, attempt)
    for went in found.detours:
        yield Event(went.at, f"Went to {went.model}", f"{went.origin} was {went.reason}", "warn")
    for change in found.changed:
        yield Event(change.at, f"{change.field.capitalize()} became {change.to}", change.reason)
    for word in found.words:
        yield Event(word.at, f"Somebody said: {word.value}", f"about its {word.about.value}")
    if task.settled_at is not None and task.state.ended:
        kind = {State.SUCCEEDED: "good", State.FAILED: "bad"}.get(task.state, "")
        yield Event(task.settled_at, task.state.value.capitalize(), _ended(found), kind)
    for hook in found.webhooks:
        if hook.done_at is not None:
            kind = "good" if hook.state is HookState.DELIVERED else "bad"
            yield Event(hook.done_at, f"Webhook {progress(hook)}", receiver(hook), kind)


def _decided(found: Explanation) -> str:
    route = found.task.route
    model = route.model if needs_account(route.model) else "a model of its own choice"
    further = f", then {', '.join(route.fallbacks)}" if route.fallbacks else ""
    return f"lane {route.lane}, {route.urgency.label}, {model}{further}"


def _called(number: int, attempt: Attempt) -> Event:
    where = f"{attempt.model or 'Python'} on {attempt.account or 'this machine'}"
    if attempt.outcome is None:
        return Event(attempt.started_at, f"Try {number} began", where, "run")
    took = "" if attempt.latency is None else f", {words.span(attempt.latency)}"
    error = attempt.error or {}
    said = f": {error.get('message')}" if error.get("message") else ""
    kind = "good" if attempt.outcome is Outcome.OK else "bad"
    outcome = "answered" if attempt.outcome is Outcome.OK else attempt.outcome.value.replace("_", " ")
    return Event(attempt.started_at, f"Try {number}: {outcome}", f"{where}{took}{said}", kind)


def _ended(found: Explanation) -> str:
    error = found.task.error or {}
    return "" if found.task.state is State.SUCCEEDED else str(error.get("message") or "")


def _standing(found: Explanation, now: float) -> Iterator[Event]:
    """What it does now."""
    task = found.task
    if task.state.ended:
        return
    for one in found.waits:
        yield Event(now, "Held back", f"by the budget of {one.budget}: {one}", "warn")
    if task.wait_reason is not None:
        when = "" if task.wake_at is None else f", {words.ahead(task.wake_at, now)}"
        yield Event(now, f"It {WAITS[task.wait_reason]}{when}", "", "warn")
    elif task.state is State.READY:
        yield Event(now, "It waits for its turn", f"in lane {task.lane}", "")
