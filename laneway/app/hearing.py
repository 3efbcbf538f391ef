"""Carrying out questions to the classifier: one call, its answer turned into the routes of the tasks it is about.

Verdicts are written before the question itself is settled. A worker that dies in between leaves a question that nobody
waits for any more; whoever takes it over ends it without a call.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson

from laneway.app.inquiries import due_of, option_key
from laneway.clock import Clock
from laneway.dispatch.calls import ModelCalls
from laneway.dispatch.desk import Admission
from laneway.errors import StoreError
from laneway.providers.answers.reading import Unusable
from laneway.providers.chat import answer_text
from laneway.providers.model import Reply
from laneway.store.asking import Ruling
from laneway.store.interface import Store
from laneway.task import Claimed, Failure, FailureClass, Route, Spec, Urgency, Usage
from laneway.triage.classifier import answer, verdicts
from laneway.triage.pipeline import left_open
from laneway.triage.urgency import raised_by_text

NOT_ASKED = orjson.dumps({"choices": []})  # the answer of a question that nobody waits for
LASTING = (FailureClass.REQUEST, FailureClass.POISON, FailureClass.CODE)

log = logging.getLogger(__name__)


class AnyAnswer:
    """What is asked of a question's answer: JSON at all. Each verdict in it is checked by itself."""

    def unready(self, spec: Spec) -> Failure | None:
        return None

    def wants_record(self, spec: Spec) -> bool:
        return False

    def __call__(
        self, spec: Spec, body: bytes, output: bytes, record: Mapping[str, Any] | None = None
    ) -> Failure | None:
        try:
            answer(answer_text(spec.wire, output))
        except Unusable as error:
            return Failure(FailureClass.OUTPUT, error.code, error.message)
        return None


class Hearing:
    """Executes questions. ``calls``: with ``AnyAnswer`` as check."""

    def __init__(self, store: Store, calls: ModelCalls, clock: Clock) -> None:
        self._store = store
        self._calls = calls
        self._clock = clock

    async def __call__(self, task: Claimed, admission: Admission | None) -> Reply:
        if not await self._store.waiting_for(task.id):
            return Reply(NOT_ASKED, Usage(), None, 0.0, heard=False)
        reply = await self._calls(task, admission)
        failure = reply.failure
        if failure is None or failure.cls in LASTING or task.attempts + 1 >= task.spec.max_attempts:
            await self._hear(task, reply)
        return reply

    async def _hear(self, task: Claimed, reply: Reply) -> None:
        """Tasks go on as the answer says; with their safe route, where there is none to be had."""
        try:
            (question,) = await self._store.get_tasks([task.id])
            if question.record is not None:
                said = None if reply.output is None else answer_text(task.spec.wire, reply.output)
                await self._store.hear(task.id, rulings(orjson.loads(question.record), said), self._clock.now())
        except StoreError as error:  # they go on when their time is up
            log.warning("verdicts of the classifier were not written: %s", error.message)


def rulings(record: Mapping[str, Any], said: str | None) -> list[Ruling]:
    """What an answer means for the tasks it is about, by what the submitter laid down (``Inquiries``)."""
    subjects = record["subjects"]
    if said is None:
        return [Ruling(subject["task"]) for subject in subjects]
    found = verdicts(said, len(subjects), record["allowed"])
    routes = [Route.from_json(route) for route in record["routes"]]
    target_wait = {Urgency[word.upper()]: wait for word, wait in record["target_wait"].items()}
    return [
        _ruling(subject, labels, routes, record, target_wait) for subject, labels in zip(subjects, found, strict=True)
    ]


def _ruling(
    subject: Mapping[str, Any],
    labels: Mapping[str, str],
    routes: list[Route],
    record: Mapping[str, Any],
    target_wait: Mapping[Urgency, float],
) -> Ruling:
    digest = bytes.fromhex(subject["digest"])
    usable = {field: label for field, label in labels.items() if field in subject["open"]}
    if not usable:
        return Ruling(subject["task"], said=labels, digest=digest)
    names = [name for name in record["looked_at"] if name in subject["open"]]
    stands_for = dict(usable)
    if "category" in usable:  # the route was worked out for one that all rules take alike
        stands_for["category"] = record.get("alike", {}).get(usable["category"], usable["category"])
    route = routes[dict(subject["options"])[option_key(stands_for, names)]]
    if route.reasons.get("category") == record["by"]:
        route = route._replace(category=usable.get("category", route.category))
    for field, label in usable.items():
        if field not in names:
            route = _filled(route, field, label, record["by"])
    due = due_of(route.urgency, target_wait, subject["due"])
    return Ruling(subject["task"], route, due, labels, digest)


def _filled(route: Route, field: str, label: str, by: str) -> Route:
    """With a label on which nothing else depends, where no rule has filled its field."""
    if field not in left_open(route):
        return route
    value: Any = raised_by_text(route.urgency, label) if field == "urgency" else label
    return route if value is None else route._replace(**{field: value}, reasons={**route.reasons, field: by})
