"""One task: why it went where it went, what happened when, and what was asked and answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from laneway.app.explaining import Explanation, explanation
from laneway.app.views.figures import Shown
from laneway.hiding import HIDDEN, error_without_words
from laneway.providers.chat import answer_text
from laneway.task import Task, Wire
from laneway.triage.pipeline import explain

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

LONGEST_TEXT = 20_000  # characters of a request or an answer that are shown
FIRST, LAST = 20, 180  # moments that are shown of more


@dataclass(frozen=True, slots=True)
class Moment(Shown):
    """``what``: submitted, call, diverted, raised, asked, waits or ended."""

    at: float
    what: str
    said: str
    until: float | None = None  # of a call: its end
    facts: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Text(Shown):
    """``cut``: there is more of it."""

    text: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class TaskView(Shown):
    """``content``: kept, hidden or pruned; ``asked`` and ``answered`` are None unless it is kept. ``left_out``: moments
    between the first and the last ones that are not in ``timeline``."""

    id: int
    key: str | None
    run_id: int
    type: str
    state: str
    model: str
    lane: str
    urgency: str
    tags: list[str]
    team: str | None
    submitted_at: float
    settled_at: float | None
    wait_s: float | None  # from submission to the first call
    run_s: float | None  # from there to the end
    cost_usd: float | None
    input_tokens: int
    output_tokens: int
    error: dict[str, Any] | None
    reasons: list[str]  # triage's, a line each
    route: dict[str, Any]
    timeline: list[Moment]
    left_out: int
    budgets: list[dict[str, Any]]  # that hold it back today
    feedback: list[dict[str, Any]]
    content: str
    asked: Text | None
    answered: Text | None


async def task(lw: Laneway, ref: str | int | Task, *, hide: bool = False) -> TaskView:
    """``ref``: an id, a key or the task itself. ``hide``: without prompt and answer. Raises NotFoundError."""
    told = await explanation(lw, ref if isinstance(ref, Task) else await lw.store.find_task(str(ref)))
    if hide and told.content == "kept":
        told = told._replace(content="hidden")
    if told.content == "hidden":
        told = _without_words(told)
    found = told.task
    attempts, calls = told.attempts, [one for one in told.attempts if one.model]
    costs = [one.cost for one in attempts if one.cost is not None]
    first = min((one.started_at for one in attempts), default=None)
    shown, words = told.content == "kept", told.as_json(lw.clock.now())
    moments = sorted(_moments(told), key=lambda moment: moment.at)
    left_out = max(0, len(moments) - FIRST - LAST)
    return TaskView(
        id=found.id,
        key=found.key,
        run_id=found.run_id,
        type=found.type,
        state=found.state.value,
        model=words["model"],
        lane=found.lane,
        urgency=found.urgency.label,
        tags=list(found.tags),
        team=found.team,
        submitted_at=found.submitted_at,
        settled_at=found.settled_at,
        wait_s=None if first is None else round(max(0.0, first - found.submitted_at), 3),
        run_s=None if first is None or found.settled_at is None else round(max(0.0, found.settled_at - first), 3),
        cost_usd=round(sum(costs), 8) if len(costs) == len(attempts) and attempts else None,
        input_tokens=sum(one.usage.input_tokens for one in calls if one.usage),
        output_tokens=sum(one.usage.output_tokens for one in calls if one.usage),
        error=dict(found.error) if found.error else None,
        reasons=list(explain(found.route)),
        route=words["route"],
        timeline=moments if not left_out else moments[:FIRST] + moments[-LAST:],
        left_out=left_out,
        budgets=words["budgets"],
        feedback=words["feedback"],
        content=told.content,
        asked=_cut(_asked(found)) if shown else None,
        answered=_cut(_answered(found)) if shown and found.output is not None else None,
    )


def _moments(told: Explanation) -> Iterator[Moment]:
    task = told.task
    yield Moment(task.submitted_at, "submitted", f"{task.type} in lane {task.lane}, {task.urgency.label}")
    for one in told.attempts:
        facts = {
            "model": one.model,
            "account": one.account,
            "outcome": one.outcome.value if one.outcome else "running",
            "input_tokens": one.usage.input_tokens if one.usage else None,
            "output_tokens": one.usage.output_tokens if one.usage else None,
            "cost_usd": one.cost,
            "error": dict(one.error) if one.error else None,
        }
        until = None if one.latency is None else one.started_at + one.latency
        yield Moment(
            one.started_at, "call", f"{one.model or 'Python'} on {one.account or 'this machine'}", until, facts
        )
    for went in told.detours:
        yield Moment(went.at, "diverted", f"from {went.origin} to {went.model}: {went.reason}")
    for change in told.changed:
        yield Moment(change.at, "raised", f"{change.field} to {change.to}: {change.reason}")
    for question in told.asked:
        yield Moment(question["at"], "asked", "triage asked its classifier", question["answered_at"], question)
    if task.wait_reason is not None and task.wake_at is not None:
        yield Moment(task.wake_at, "waits", task.wait_reason.value)
    if task.settled_at is not None:
        yield Moment(task.settled_at, "ended", task.state.value)


def _without_words(told: Explanation) -> Explanation:
    """Errors and notes may quote."""
    error, words = told.task.error, told.words
    return told._replace(
        task=told.task._replace(error=error_without_words(error) if error else None),
        attempts=[one._replace(error=error_without_words(one.error)) if one.error else one for one in told.attempts],
        words=[one._replace(note=HIDDEN) if one.note else one for one in words],
    )


def _asked(task: Task) -> str:
    """What was said, turn by turn; the request itself where that is not known."""
    if task.wire is not Wire.PYTHON:
        data = orjson.loads(task.body)
        turns = data.get("messages") or data.get("input")
        said = [("system", one) for one in (data.get("system"), data.get("instructions")) if one]
        said += [_turn(one) for one in turns] if isinstance(turns, list) else [("user", turns)] if turns else []
        if text := "\n\n".join(f"[{role}]\n{_words(content)}" for role, content in said):
            return text
    return task.body.decode("utf-8", "replace")


def _turn(turn: Any) -> tuple[str, Any]:
    known = isinstance(turn, dict)
    return (str(turn.get("role") or turn.get("type") or ""), turn.get("content")) if known else ("user", turn)


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [content] if isinstance(content, dict) else content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts if isinstance(part, dict))


def _answered(task: Task) -> str:
    output = task.output or b""
    text = ""
    if task.wire is not Wire.PYTHON:
        with suppress(AttributeError, LookupError, TypeError, ValueError):  # whatever a provider may have sent
            text = answer_text(task.wire, output)
    return text or output.decode("utf-8", "replace")


def _cut(text: str) -> Text:
    return Text(text[:LONGEST_TEXT], len(text) > LONGEST_TEXT)
