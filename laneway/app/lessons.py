"""What the store knows that triage can learn from: labels that people gave, and outcomes by model. Pruned tasks teach
nothing any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import orjson

from laneway.app.pilot.comparing import JUDGED_TYPE, Values, text_of
from laneway.errors import UsageError
from laneway.intake.batch.lines import request_of
from laneway.intake.batch.request import Bad
from laneway.intake.prompts import record_text
from laneway.store.feedback import GOOD, About, Feedback
from laneway.store.results import Result
from laneway.task import Attempt, Outcome, State, Task, Wire
from laneway.triage.classifier import CLASSIFY

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

PAGE = 500
NOT_ASKED = (JUDGED_TYPE, CLASSIFY)  # types of Laneway's own


class Evidence(IntEnum):
    """What an outcome rests on; the stronger counts where several say something."""

    ESCALATED = 1  # the answer was thought to be weak, and a stronger model was asked
    CHECKED = 2  # the type's schema and checks
    SAID = 3  # somebody said that it was good or bad


@dataclass(slots=True)
class Lessons:
    """``rows`` as in a table; ``found``: what they rest on, and how many; ``left_out``: why, and how many."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def check_hidden(lw: Laneway) -> None:
    """A model file holds words of the texts that it learnt from. Raises UsageError where content is to stay hidden."""
    if lw.config.hide_content:
        raise UsageError(
            "hide_content is set, and a model file holds words of the texts that it learns from",
            hint="where that may be, set LANEWAY_HIDE_CONTENT=false for this command",
        )


async def labels(lw: Laneway, about: About, since: float = 0.0) -> Lessons:
    """A row for each label that somebody gave: the text as triage saw it, and the label. A model's own are none."""
    lessons = Lessons()
    async for words in _words(lw, since):
        chosen = {word.task_id: word.value for word in words if word.about is about}
        for task in await lw.store.get_tasks(list(chosen)):
            if (text := _text(task, lessons.left_out)) is not None:
                lessons.rows.append({"text": text, about.value: chosen[task.id]})
                lessons.found[f"{about.value} labels by feedback"] += 1
    return lessons


async def _words(lw: Laneway, since: float) -> AsyncIterator[list[Feedback]]:
    place = (0, "")
    while page := await lw.store.feedback_after(place, PAGE, since):
        yield page
        place = (page[-1].task_id, page[-1].about.value)


# outcomes -------------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Of:
    """What is known of a model's answer to a text."""

    evidence: Evidence
    quality: float
    cost: float | None
    answer: str


async def outcomes(lw: Laneway, since: float = 0.0) -> Lessons:
    """A row for each text and type with what is known of each model that answered it: tasks of several runs with one
    text are one row."""
    lessons = Lessons()
    rows: dict[tuple[str, str], dict[str, _Of]] = {}
    values = Values()
    cursor = 0
    while page := await lw.store.ended_after(cursor, PAGE):
        cursor = page[-1][0]
        ids = [id_ for _, id_ in page]
        tasks = [task for task in await lw.store.get_tasks(ids) if (task.settled_at or 0.0) >= since]
        said = {word.task_id: word for word in await lw.store.feedback(ids) if word.about is About.QUALITY}
        lines: dict[int, list[Attempt]] = {}
        for line in await lw.store.attempts_of([task.id for task in tasks]):
            lines.setdefault(line.task_id, []).append(line)
        for task in tasks:
            if task.wire in (Wire.PYTHON, Wire.EMBEDDINGS) or task.type in NOT_ASKED:
                continue
            known = _of_task(task, lines.get(task.id, []), said.get(task.id), values)
            if known and (text := _text(task, lessons.left_out)) is not None:
                _merge(rows.setdefault((task.type, text), {}), known)
    for (type_, text), by_model in rows.items():
        lessons.rows.append(_row(type_, text, by_model))
        for model, one in by_model.items():
            lessons.found[f"{model}: {_WORDS[one.evidence]}"] += 1
    return lessons


_WORDS = {
    Evidence.SAID: "feedback",
    Evidence.CHECKED: "checks of answers",
    Evidence.ESCALATED: "answers thought to be weak",
}


def _of_task(task: Task, lines: Iterable[Attempt], word: Feedback | None, values: Values) -> dict[str, _Of]:
    found: dict[str, _Of] = {}
    costs: dict[str, float | None] = {}
    for line in lines:
        before = costs.get(line.model, 0.0)
        costs[line.model] = None if line.cost is None or before is None else before + line.cost
        if line.outcome is Outcome.OUTPUT:
            found[line.model] = _Of(Evidence.CHECKED, 0.0, None, "")
        elif line.outcome is Outcome.ESCALATED:
            found[line.model] = _Of(Evidence.ESCALATED, 0.0, None, "")
    if task.state is State.SUCCEEDED and task.model and (task.checked or task.model in found):
        found[task.model] = _Of(Evidence.CHECKED, 1.0, None, _answer(task, values))
    if word is not None and word.model:
        answer = _answer(task, values) if word.model == task.model else ""
        found[word.model] = _Of(Evidence.SAID, float(word.value == GOOD), None, answer)
    for model, one in found.items():
        one.cost = costs.get(model)
    return found


def _merge(known: dict[str, _Of], more: Mapping[str, _Of]) -> None:
    """Of several tasks with one text the stronger evidence, else the later task."""
    for model, one in more.items():
        if model not in known or one.evidence >= known[model].evidence:
            known[model] = one


def _row(type_: str, text: str, by_model: Mapping[str, _Of]) -> dict[str, Any]:
    row: dict[str, Any] = {"type": type_, "prompt": text}
    for model, one in by_model.items():
        row[f"quality:{model}"] = one.quality
        row[f"cost:{model}"] = one.cost
        if one.answer:
            row[f"answer:{model}"] = one.answer
    return row


# content --------------------------------------------------------------------------------------------------------------
def _text(task: Task, left_out: Counter[str]) -> str | None:
    """What triage saw of the task: what its record says, else its request."""
    if task.pruned:
        left_out["pruned: their texts are not there any more"] += 1
        return None
    record = orjson.loads(task.record) if task.record else {}
    if isinstance(record, dict) and set(record) - {"file"} and (said := record_text(record)):
        return said
    try:
        said = request_of(task.wire, orjson.loads(task.body)).text if task.wire is not Wire.PYTHON else ""
    except Bad:
        said = ""
    if not said.strip():
        left_out["without a text"] += 1
        return None
    return said


def _answer(task: Task, values: Values) -> str:
    if task.output is None:
        return ""
    result = Result(0, task.id, task.key, task.type, task.wire, task.state, task.model, None, task.output, *_NOTHING)
    said = values.of(result)
    return "" if said is None else text_of(said)


_NOTHING: tuple[None, None, float, None] = (None, None, 0.0, None)  # of a result: error, cost, settled at, request id
