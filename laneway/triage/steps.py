"""The steps between pins and defaults: rules, what was learnt from examples, what the classifier said."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from laneway.task import Urgency
from laneway.triage.chart import Chart, Step
from laneway.triage.conditions import BUILT_IN, field_getter
from laneway.triage.models import NONE, Models
from laneway.triage.patient import Patient
from laneway.triage.rules import Filling, Rule

FOUND_IN_TEXTS = ("category", "complexity", "urgency")


class ByRules(Step):
    """Each rule that matches fills what earlier ones left open."""

    def __init__(self, rules: Sequence[Rule], models: Models) -> None:
        self._rules = rules
        self._models = models
        # the fields that rules look at and that no record has had yet
        self._unseen = {name: field_getter(name) for rule in rules for name in rule.fields}
        self._asked = False

    def fill(self, patient: Patient, chart: Chart) -> None:
        self._asked = True
        if self._unseen:
            self._look_for_fields(patient)
        for rule in self._rules:
            if not rule.applies(patient, chart.standing):
                continue
            filling = rule.fill(patient)
            if filling is not None:
                rule.matched = True
                self._take(filling, rule.name, patient, chart)

    def unused(self) -> list[tuple[str, str]]:
        """(rule, why) for each rule that cannot have matched so far, because it looks at a field that no record had."""
        found = []
        for rule in self._rules:
            missing = sorted(rule.fields & self._unseen.keys())
            if self._asked and missing and not rule.matched:
                near = [name for one in missing for name in sorted(BUILT_IN) if name != one and _alike(name, one)]
                hint = f" (did you mean {near[0]}?)" if near else ""
                found.append((rule.name, f"it looks at {', '.join(missing)}, which no record has{hint}"))
        return found

    @property
    def looked_at(self) -> frozenset[str]:
        """Of what is found in texts that at which any rule looks, or of which it says how far it goes: on the others no
        more depends."""
        names = frozenset(FOUND_IN_TEXTS)
        if any(rule.looks_at is None for rule in self._rules):
            return names
        return names & {name for rule in self._rules for name in rule.looks_at or ()}

    def _take(self, filling: Filling, name: str, patient: Patient, chart: Chart) -> None:
        for field_name, value in filling.items():
            if field_name == "urgency_up_to":
                chart.allow(value)
            elif field_name not in ("model", "fallbacks"):
                chart.fill(field_name, value, name)
        fallbacks = filling.get("fallbacks", NONE)
        if "model" in filling:
            self._models.take(filling["model"], fallbacks, name, patient, chart)
        elif fallbacks:
            self._models.take_fallbacks(fallbacks, name, patient, chart)

    def _look_for_fields(self, patient: Patient) -> None:
        for name, get in list(self._unseen.items()):
            if get(patient, {}) is not None:
                del self._unseen[name]


class ByExamples(Step):
    """What model files of labels found (``learned/nurse.py``)."""

    def look(self, patient: Patient, chart: Chart) -> None:
        if not patient.found:
            return
        for name in FOUND_IN_TEXTS:
            if (one := patient.found.get(name)) is None:
                continue
            if name == "urgency":
                chart.find_urgency(self, Urgency[one.label.upper()], one.reason, one.confidence)
            else:
                chart.find(self, name, one.label, one.reason, one.confidence)

    def fill(self, patient: Patient, chart: Chart) -> None:
        chart.fill_found(self)


class ByClassifier(Step):
    """What a cheap model said, where it has been asked already (``classifier.py``). It only raises an urgency."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def look(self, patient: Patient, chart: Chart) -> None:
        for name, label in patient.said.items():
            if name != "urgency":
                chart.find(self, name, label, self._reason)
            elif (said := Urgency[label.upper()]) < chart.standing["urgency"]:
                chart.find_urgency(self, said, self._reason)

    def fill(self, patient: Patient, chart: Chart) -> None:
        chart.fill_found(self)


class ByChoice(Step):
    """The model that was learnt to do (``learned/chooser.py``), of those that can take the task, with the better ones
    behind it."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def fill(self, patient: Patient, chart: Chart) -> None:
        if "model" in chart.filled or not patient.found or (found := patient.found.get("model")) is None:
            return
        if not (fit := self._models.fit(found.models, patient, chart)):
            return
        model, first = fit[0], found.models[0]
        instead = f" (instead of {first}: {chart.refused[first]})" if model != first else ""
        behind = tuple(one for one in found.stronger(model) if one in fit)
        self._models.take(model, behind, found.reason(model) + instead, patient, chart)


def _alike(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one, other.casefold()).ratio() > 0.7
