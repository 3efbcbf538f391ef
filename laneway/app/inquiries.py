"""Asking the classifier about tasks of which something is left open: what is submitted beside them.

The submitter knows rules, templates and prices, a worker need not; so the route that would follow from each label that
a rule looks at is worked out here, and goes with the question.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from laneway.app.due import due_at
from laneway.errors import InputError
from laneway.store.steering import PauseKind
from laneway.task import NewTask, Route, Urgency
from laneway.triage.classifier import CLASSIFY, Classifier, Labels
from laneway.triage.pipeline import left_open
from laneway.triage.values import value_test

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.store.interface import Store
    from laneway.store.runs import Run, Submitted
    from laneway.triage.patient import Patient
    from laneway.triage.pipeline import Triage

MOST_OF_ITS_WAIT = 0.5  # that may be spent on a verdict
LEAST_S = 0.5  # in which no answer could come
MOST_ROUTES = 1000  # worked out for one task; beyond it what most labels are of is taken as found, and no rule sees it


class Asked(NamedTuple):
    """A task on its way in. ``patient``: where the classifier is to be asked about it."""

    task: NewTask
    patient: Patient | None = None


class Inquiries:
    """``seen`` is told of every task as it may become, for whoever must know all models that may be called."""

    def __init__(
        self, config: Config, triage: Triage, classifier: Classifier, seen: Callable[[NewTask], object] = lambda _: None
    ) -> None:
        self._triage = triage
        self._classifier = classifier
        self._seen = seen
        model = config.models.get(classifier.model)
        self._accounts = model.account_names if model else ()
        self._alike = _alike(config, triage, classifier.fields.get("category", ()))
        self._target_wait = {urgency: config.target_wait(urgency) for urgency in Urgency}
        self.from_cache = 0

    def open(self, patient: Patient, route: Route) -> bool:
        """Whether the classifier is asked about it: something that it can say is left to the defaults. What comes with
        a picture or a document is not shown to it."""
        if not patient.needs_model or not patient.text.strip() or patient.attachments:
            return False
        return not left_open(route).isdisjoint(self._classifier.fields)

    async def submit(
        self, store: Store, run: Run, asked: Sequence[Asked], now: float, *, held: bool = False
    ) -> Submitted:
        """``Store.submit``, with what was said before and with questions where something is left open."""
        asked = await self.known(store, asked, now)
        done = await store.submit(run, [one.task for one in asked], now, held=held)
        await self.ask(store, run, asked, done, now, held=held)
        return done

    async def known(self, store: Store, asked: Sequence[Asked], now: float) -> list[Asked]:
        """The same with what was said of these texts before; of the others it is noted how long they wait."""
        digests = {at: self._digest(one.patient) for at, one in enumerate(asked) if one.patient is not None}
        if not digests:
            return list(asked)
        said = await store.verdicts(list(set(digests.values())))
        reach = said.keys() >= set(digests.values()) or await self._in_reach(store, now)
        found = list(asked)
        for at, digest in digests.items():
            task, patient = asked[at]
            assert patient is not None
            if digest in said:
                self.from_cache += 1
                found[at] = Asked(self._with(task, patient, said[digest], now))
            else:
                found[at] = self._waiting(task, patient, now) if reach else Asked(task)
        return found

    async def _in_reach(self, store: Store, now: float) -> bool:
        """Whether anybody could answer: neither its lane nor all its accounts are paused, by hand or, as a worker that
        lives has seen, after a fault."""
        held = {(pause.kind, pause.name) for pause in await store.pauses() if pause.since is not None}
        if (PauseKind.LANE, self._classifier.settings.lane) in held:
            return False
        states = await store.states("account:")
        faulty = {name: state.get("by") for name, (state, _) in states.items() if state.get("paused")}
        if faulty:
            alive = {worker.id for worker in await store.workers(now) if worker.lease_until > now}
            held |= {(PauseKind.ACCOUNT, name) for name, by in faulty.items() if by in alive}
        return not self._accounts or any((PauseKind.ACCOUNT, name) not in held for name in self._accounts)

    def _waiting(self, task: NewTask, patient: Patient, now: float) -> Asked:
        """Until the timeout, but no longer than half of the time until it is due. What is due at once is not asked
        about."""
        if task.wake_at is not None:
            return Asked(dataclasses.replace(task, verdict_within=self._classifier.settings.timeout), patient)
        within = min(self._classifier.settings.timeout, MOST_OF_ITS_WAIT * (task.due_at - now))
        if within < LEAST_S:
            return Asked(task)
        return Asked(dataclasses.replace(task, verdict_within=within), patient)

    async def ask(
        self, store: Store, run: Run, asked: Sequence[Asked], done: Submitted, now: float, *, held: bool = False
    ) -> None:
        """Queue questions about those that wait, the more urgent ones apart from the others."""
        by_urgency: dict[Urgency, list[tuple[int, Asked]]] = {}
        for position in done.waiting:
            by_urgency.setdefault(asked[position].task.route.urgency, []).append((done.ids[position], asked[position]))
        at_once = self._classifier.settings.tasks_per_call
        groups = [
            group[start : start + at_once] for group in by_urgency.values() for start in range(0, len(group), at_once)
        ]
        if groups:
            questions = [self._question(group, now) for group in groups]
            await store.ask(run, questions, [[id_ for id_, _ in group] for group in groups], now, held=held)

    async def weigh(self, store: Store | None, patients: Sequence[Patient]) -> tuple[int, int, int]:
        """Of how many of these it would be asked, with how many tokens in and out. Nothing is sent."""
        digests = {self._digest(patient): patient for patient in patients}
        known = await store.verdicts(list(digests)) if store is not None else {}
        texts = [patient.text for patient in patients if self._digest(patient) not in known]
        at_once = self._classifier.settings.tasks_per_call
        sizes = [self._classifier.question(texts[at : at + at_once])[1:] for at in range(0, len(texts), at_once)]
        return len(texts), sum(size[0] for size in sizes), sum(size[1] for size in sizes)

    # one question -------------------------------------------------------------------------------------------------
    def _question(self, group: Sequence[tuple[int, Asked]], now: float) -> NewTask:
        patients = [one.patient for _, one in group if one.patient is not None]
        body, input_tokens, output_tokens = self._classifier.question([patient.text for patient in patients])
        settings = self._classifier.settings
        route = Route(settings.lane, group[0][1].task.route.urgency, settings.model, reasons={"lane": "a question"})
        question = NewTask(
            body=body,
            spec=self._classifier.spec(len(group)),
            route=route,
            due_at=now,  # others wait for it
            key=f"{CLASSIFY} {secrets.token_hex(8)}",
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            record=self._record(group, now),
        )
        self._seen(question)
        return question

    def _record(self, group: Sequence[tuple[int, Asked]], now: float) -> bytes:
        """What a worker needs to make rulings of the answer. Routes come once, tasks name them by number."""
        routes: dict[int, tuple[int, Route]] = {}  # by identity: equal routes are one object
        subjects = []
        for id_, (task, patient) in group:
            assert patient is not None
            open_ = sorted(left_open(task.route) & self._classifier.fields.keys())
            options = [
                [key, routes.setdefault(id(route), (len(routes), route))[0]]
                for key, route in self._options(task, patient, open_, now)
            ]
            since = now if task.wake_at is None else task.wake_at
            subjects.append(
                {
                    "task": id_,
                    "digest": self._digest(patient).hex(),
                    "open": open_,
                    "options": options,
                    "due": [since, task.deadline, task.input_tokens, task.output_tokens],
                }
            )
        return orjson.dumps(
            {
                "allowed": {field: list(labels) for field, labels in self._classifier.fields.items()},
                "looked_at": sorted(self._looked_at()),
                "alike": self._alike,
                "by": f"classifier {self._classifier.model}",
                "routes": [route.as_json() for _, route in routes.values()],
                "target_wait": {urgency.label: wait for urgency, wait in self._target_wait.items()},
                "subjects": subjects,
            }
        )

    def _looked_at(self) -> set[str]:
        """Fields on whose labels more depends than themselves."""
        fields = {name: len(self._apart(name)) + 1 for name in self._classifier.fields}
        names = set(self._triage.looked_at & fields.keys())
        while names and _product(fields[name] for name in names) > MOST_ROUTES:
            names.remove(max(names, key=lambda name: fields[name]))
        return names

    def _options(
        self, task: NewTask, patient: Patient, open_: Sequence[str], now: float
    ) -> Iterator[tuple[str, Route]]:
        """The route for each combination of labels that a rule may look at, by ``option_key``."""
        names = sorted(self._looked_at() & set(open_))
        for labels in product(*([None, *self._apart(name)] for name in names)):
            said = {name: label for name, label in zip(names, labels, strict=True) if label is not None}
            went = self._with(task, patient, said, now) if said else task
            self._seen(went)
            yield option_key(said, names), went.route

    def _apart(self, field: str) -> list[str]:
        """Labels of which one may lead elsewhere than another."""
        alike = self._alike if field == "category" else {}
        return list(dict.fromkeys(alike.get(label, label) for label in self._classifier.fields[field]))

    def _with(self, task: NewTask, patient: Patient, said: Labels, now: float) -> NewTask:
        """The task as it is with those of the labels that it lacks; as it was, where no model could take it then."""
        said = {field: label for field, label in said.items() if field in left_open(task.route)}
        if not said:
            return task
        try:
            route = self._triage.assess(dataclasses.replace(patient, said=said))
        except InputError:
            return task
        since = now if task.wake_at is None else task.wake_at
        due = due_of(route.urgency, self._target_wait, (since, task.deadline, task.input_tokens, task.output_tokens))
        went = dataclasses.replace(task, route=route, due_at=due)
        self._seen(went)
        return went

    def _digest(self, patient: Patient) -> bytes:
        return self._classifier.digest(patient.text)


def _alike(config: Config, triage: Triage, categories: Iterable[str]) -> dict[str, str]:
    """Categories that every rule takes as it takes another one → that other one. Of many, most are named by no rule;
    the route that follows from them is worked out once. A function may take each in its own way."""
    named = {name for rule in config.rules for name in rule.when}
    if any(rule.function for rule in config.rules) or not triage.looked_at <= named:
        return {}
    tests = [value_test(rule.when["category"], "category") for rule in config.rules if "category" in rule.when]
    first: dict[tuple[bool, ...], str] = {}
    kinds = {label: first.setdefault(tuple(test(label) for test in tests), label) for label in categories}
    return {label: other for label, other in kinds.items() if label != other}


def option_key(said: Mapping[str, str], names: Sequence[str]) -> str:
    """What was said of these fields, as one text."""
    return orjson.dumps([said.get(name) for name in names]).decode()


def due_of(urgency: Urgency, target_wait: Mapping[Urgency, float], due: Sequence[Any]) -> float:
    """``due``: since when it waits, its deadline, tokens in and out."""
    since, deadline, input_tokens, output_tokens = due
    return due_at(since, target_wait[urgency], deadline, input_tokens, output_tokens)


def _product(numbers: Iterator[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result
