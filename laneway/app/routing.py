"""From one draft to a task with its route, for every way in: a file's lines, a request to the server."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import orjson

from laneway.app.budgets import Way, ways_of
from laneway.app.due import due_at
from laneway.intake.draft import Draft
from laneway.task import NewTask, Route, Spec, Urgency, Wire, needs_account
from laneway.triage.attachments import Reader
from laneway.triage.filters import inputs_of
from laneway.triage.patient import Patient
from laneway.triage.tokens import estimate_body

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.providers.catalog import Catalog


class Routed(NamedTuple):
    """A draft with its route: ready to be submitted."""

    draft: Draft
    task: NewTask
    patient: Patient | None = None  # where the classifier is to be asked about it


class Routing:
    """``models`` gathers every model of every route, fallbacks too. ``anew``: nothing that was done before counts."""

    def __init__(self, lw: Laneway, catalog: Catalog, *, anew: bool = False) -> None:
        self._lw = lw
        self._catalog = catalog
        self._anew = anew
        self.models: set[str] = set()
        self.ways: set[Way] = set()
        self._taken: set[tuple[str, tuple[str, ...], str, str]] = set()  # whose ways are known
        self.inquiries = lw.inquiries(self.seen)
        self._target_wait = {urgency: lw.config.target_wait(urgency) for urgency in Urgency}

    def patients(self, drafts: Sequence[Draft]) -> list[Patient]:
        """What triage sees of each; model files are asked about all at once."""
        patients = [self._patient(draft) for draft in drafts]
        self._lw.triage.examine(patients)
        return patients

    def route(self, draft: Draft, now: float, patient: Patient | None = None) -> Routed:
        """The draft's route, and the draft as its model takes it: a PDF goes as text where the model takes none.
        ``patient``: one of ``patients``."""
        patient = patient or self._patient(draft)
        route = self._assess(patient)
        if draft.as_text is not None and "pdf" in draft.attachments:
            if "pdf" not in inputs_of(route.model, self._lw.config):
                draft = draft.as_text()
                patient = self._patient(draft)
                route = self._assess(patient)
            else:
                able = tuple(name for name in route.fallbacks if "pdf" in inputs_of(name, self._lw.config))
                route = route if able == route.fallbacks else route._replace(fallbacks=able)
        if "image" in draft.attachments:
            draft = dataclasses.replace(draft, input_tokens=self._seen_by(route.model, draft))
        task = self._task(draft, route, now)
        self.seen(task)
        if self.inquiries is not None and self.inquiries.open(patient, route):
            return Routed(draft, task, patient)
        return Routed(draft, task)

    def seen(self, task: NewTask) -> None:
        """Know what such a task may call. Raises InputError for a model that is not known."""
        route = task.route
        if (taken := (route.model, route.fallbacks, route.lane, task.spec.type)) not in self._taken:
            self._taken.add(taken)
            self._know(route)
            self.ways.update(ways_of(task))

    def _seen_by(self, name: str, draft: Draft) -> int:
        """Tokens of the draft for this model: pictures are counted differently by each."""
        model = self._catalog.model(name)
        reader = Reader(model.id, any(account.wire is Wire.MESSAGES for account in model.accounts))
        return estimate_body(draft.spec.wire, orjson.loads(draft.body), reader)

    def _assess(self, patient: Patient) -> Route:
        """Raises InputError when no model can take the draft or a model is not known."""
        route = self._lw.triage.assess(patient)
        self._know(route)
        return route

    def _know(self, route: Route) -> None:
        for name in (route.model, *route.fallbacks):
            if name not in self.models and needs_account(name):
                self._catalog.model(name)
                self.models.add(name)

    def _patient(self, draft: Draft) -> Patient:
        patient = _patient(draft)
        return self._lw.preparing.called(patient) if draft.spec.wire is Wire.PYTHON else patient

    def _task(self, draft: Draft, route: Route, now: float) -> NewTask:
        target_wait = self._target_wait[route.urgency]
        if draft.spec.wire is Wire.PYTHON:
            route = self._lw.preparing.queued(draft.spec, route)
        return NewTask(
            body=draft.body,
            spec=draft.spec,
            route=route,
            due_at=due_at(now, target_wait, draft.deadline, draft.input_tokens, draft.output_tokens),
            key=draft.key,
            input_tokens=draft.input_tokens,
            output_tokens=draft.output_tokens,
            record=draft.record,
            deadline=draft.deadline,
            tags=draft.tags,
            dedupe_for=None if self._anew else self._dedupe_for(draft.spec),
        )

    def _dedupe_for(self, spec: Spec) -> float | None:
        if spec.wire is Wire.PYTHON:
            return self._lw.preparing.dedupe_for(spec)
        settings = self._lw.config.types.get(spec.type)
        return settings.dedupe_for if settings else None


def _patient(draft: Draft) -> Patient:
    return Patient(
        type=draft.spec.type,
        text=draft.text,
        input_tokens=draft.input_tokens,
        pins=draft.pins,
        tags=draft.tags,
        fields=draft.fields,
        output_tokens=draft.output_tokens,
        key=draft.key,
        refused_by=draft.refused_by,
        attachments=draft.attachments,
        pdf_as_text=draft.as_text is not None,
    )
