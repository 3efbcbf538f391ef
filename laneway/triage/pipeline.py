"""The nurse: pins, hard filters, rules, the type's own settings, defaults. Assesses only; calls nobody.

A field once filled stays. Fallbacks belong to the model they were named with: a rule's come along with its model, and a
pinned model has none.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from laneway.config.models import Config
from laneway.errors import InputError, NoModel
from laneway.providers.formats import known_as
from laneway.task import Route, Urgency
from laneway.triage.conditions import BUILT_IN, field_getter
from laneway.triage.filters import Filters, Fits, Reason
from laneway.triage.patient import Patient
from laneway.triage.rules import FILLED, Filling, RuleFunction, compile_rules

MOST_ROUTES = 10_000  # kept as one object each; more than this many distinct ones means that sharing is hopeless
_NONE: tuple[str, ...] = ()
DEFAULTS, OF_TYPE = "[defaults]", "type "  # reasons: only a default says so


@dataclass(slots=True)
class _Chart:
    """What is decided about one patient so far. ``standing``: what it would be as things stand, defaults included."""

    filled: dict[str, Any]
    why: dict[str, str]
    standing: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)  # model → why not

    def fill(self, name: str, value: Any, reason: str) -> None:
        if value is not None and name not in self.filled:
            self.filled[name] = self.standing[name] = value
            self.why[name] = reason


@dataclass(frozen=True, slots=True)
class _Default:
    """What the type or [defaults] say of a field, and which of the two."""

    value: Any
    reason: str
    fallbacks: tuple[str, ...] = ()


class Triage:
    """``functions``: rules registered in Python, asked after the config's. ``models``: the names that a function may
    choose (None: any). ``fits(model, patient)``: one more hard filter; why that model cannot take it, or None.

    Raises ConfigError for a rule that cannot be understood.
    """

    def __init__(
        self,
        config: Config,
        *,
        functions: Mapping[str, RuleFunction] | None = None,
        models: Collection[str] | None = None,
        fits: Fits | None = None,
    ) -> None:
        self._config = config
        self.filters = Filters(config, fits)
        self._rules = compile_rules(config, functions or {}, models)
        self._defaults: dict[str, dict[str, list[_Default]]] = {}
        self._standing: dict[tuple[str, bool], dict[str, Any]] = {}  # by type, and whether it needs a model
        self._routes: dict[tuple[Any, ...], Route] = {}
        classifier = config.triage.classifier
        self._by_classifier = f"classifier {classifier.model}" if classifier else "classifier"
        self._assessed = 0
        # the fields that rules look at and that no record has had yet
        self._unseen = {name: field_getter(name) for rule in self._rules for name in rule.fields}

    def urgency_of(self, word: str) -> Urgency:
        """An urgency by name or alias. Raises InputError that lists the words."""
        try:
            return self._config.urgency_of(word)
        except ValueError as error:
            raise InputError(str(error), hint="or add the word to an urgency's aliases in laneway.toml") from None

    def assess(self, patient: Patient) -> Route:
        """The route of a task. Raises InputError when no model is left that could take it, or when a rule's function
        fails."""
        chart = self._admit(patient)
        found = self._heard(patient, chart) if patient.said else ()
        if self._unseen:
            self._look_for_fields(patient)
        for rule in self._rules:
            if not rule.applies(patient, chart.standing):
                continue
            filling = rule.fill(patient)
            if filling is not None:
                rule.matched = True
                self._take(filling, rule.name, patient, chart)
        for name, value in found:
            chart.fill(name, value, self._by_classifier)
        for name, default in self._defaults_of(patient.type).items():
            for one in default:
                if name == "model":
                    self._take_model(one.value, one.fallbacks, one.reason, patient, chart)
                else:
                    chart.fill(name, one.value, one.reason)
        if patient.needs_model and "model" not in chart.filled:
            self._take_what_it_asks(patient, chart)
        if patient.needs_model and "model" not in chart.filled:
            raise self._no_model(patient, chart)
        return self._interned(chart)

    def assess_many(self, patients: Iterable[Patient]) -> list[Route]:
        """``assess`` for each. Raises at the first that has no route."""
        assess = self.assess
        return [assess(patient) for patient in patients]

    def refusal(self, model: str, patient: Patient) -> str | None:
        """Why this model cannot take this task when somebody insists on it; None when it can."""
        why = self._cannot(model, patient, pinned=True)
        return why.text if why else None

    def unused(self) -> list[tuple[str, str]]:
        """(rule, why) for each rule that cannot have matched so far, because it looks at a field that no record had."""
        found = []
        for rule in self._rules:
            missing = sorted(rule.fields & self._unseen.keys())
            if self._assessed and missing and not rule.matched:
                near = [name for one in missing for name in sorted(BUILT_IN) if name != one and _alike(name, one)]
                hint = f" (did you mean {near[0]}?)" if near else ""
                found.append((rule.name, f"it looks at {', '.join(missing)}, which no record has{hint}"))
        return found

    def _admit(self, patient: Patient) -> _Chart:
        """Pins first: whatever is fixed by the submitter is never changed."""
        self._assessed += 1
        pins = patient.pins
        chart = _Chart({}, {}, dict(self._standing_of(patient)))
        reason = f"pinned by {pins.by}"
        chart.fill("lane", pins.lane, reason)
        chart.fill("urgency", pins.urgency, reason)
        if not patient.needs_model:
            chart.filled["model"], chart.filled["fallbacks"] = "", _NONE
        elif pins.model is not None:
            model = known_as(self._config, pins.model) or pins.model  # it may be pinned by the provider's id
            if why := self._cannot(model, patient, pinned=True):
                raise InputError(
                    f"model {model}, {reason}: {why.text}",
                    hint="choose another model for it, or leave it to triage",
                )
            chart.fill("model", model, reason)
            chart.filled["fallbacks"] = _NONE
        return chart

    def _heard(self, patient: Patient, chart: _Chart) -> list[tuple[str, Any]]:
        """What the classifier's labels come to; rules see it, and what they fill goes before it."""
        found: list[tuple[str, Any]] = []
        for name, label in patient.said.items():
            if name in chart.filled:
                continue
            value = raised_by_text(chart.standing["urgency"], label) if name == "urgency" else label
            if value is not None:
                chart.standing[name] = value
                found.append((name, value))
        return found

    @property
    def looked_at(self) -> frozenset[str]:
        """Of category, complexity and urgency those that any rule looks at: on the others no more depends."""
        names = frozenset(("category", "complexity", "urgency"))
        if any(rule.looks_at is None for rule in self._rules):
            return names
        return names & {name for rule in self._rules for name in rule.looks_at or ()}

    def _take(self, filling: Filling, name: str, patient: Patient, chart: _Chart) -> None:
        for field_name, value in filling.items():
            if field_name not in ("model", "fallbacks"):
                chart.fill(field_name, value, name)
        fallbacks = filling.get("fallbacks", _NONE)
        if "model" in filling:
            self._take_model(filling["model"], fallbacks, name, patient, chart)
        elif fallbacks:
            self._take_fallbacks(fallbacks, name, patient, chart)

    def _take_model(self, model: str, fallbacks: tuple[str, ...], name: str, patient: Patient, chart: _Chart) -> None:
        """The first of a rule's models that can take the task; the others stay behind it as fallbacks."""
        if "model" in chart.filled:
            if chart.filled["model"] == model and fallbacks:
                self._take_fallbacks(fallbacks, name, patient, chart)
            return
        fit = self._fit((model, *fallbacks), patient, chart)
        if not fit:
            return
        instead = f" (instead of {model}: {chart.refused[model]})" if fit[0] != model else ""
        chart.fill("model", fit[0], name + instead)
        if len(fit) > 1:
            chart.fill("fallbacks", fit[1:], name)

    def _take_what_it_asks(self, patient: Patient, chart: _Chart) -> None:
        """Nothing says which model: the one that the request itself names, if it is one of ours."""
        asked = patient.pins.asked
        if asked is not None and self._config.models:
            asked = known_as(self._config, asked)
        if asked is not None:
            self._take_model(asked, _NONE, "the request asks for it", patient, chart)

    def _take_fallbacks(self, fallbacks: tuple[str, ...], name: str, patient: Patient, chart: _Chart) -> None:
        if "fallbacks" not in chart.filled and (fit := self._fit(fallbacks, patient, chart)):
            chart.fill("fallbacks", fit, name)

    def _fit(self, models: tuple[str, ...], patient: Patient, chart: _Chart) -> tuple[str, ...]:
        fit = []
        for model in models:
            if why := self._cannot(model, patient):
                chart.refused[model] = why.text
            else:
                fit.append(model)
        return tuple(dict.fromkeys(fit))

    def _cannot(self, model: str, patient: Patient, *, pinned: bool = False) -> Reason | None:
        return self.filters.cannot(model, patient, pinned=pinned)

    def _defaults_of(self, type_name: str) -> dict[str, list[_Default]]:
        """For lane, urgency and model: the type's own, then [defaults], then, for a model, the only one there is."""
        if type_name not in self._defaults:
            config, own = self._config, self._config.types.get(type_name)
            found: dict[str, list[_Default]] = {"lane": [], "urgency": [], "model": []}
            for section, reason in ((own, OF_TYPE + type_name), (config.defaults, DEFAULTS)):
                if section is None:
                    continue
                if section.lane is not None:
                    found["lane"].append(_Default(section.lane, reason))
                if section.urgency is not None:
                    found["urgency"].append(_Default(config.urgency_of(section.urgency), reason))
                if section.model is not None:
                    found["model"].append(_Default(section.model, reason, tuple(section.fallbacks or ())))
            if len(config.models) == 1:
                found["model"].append(_Default(next(iter(config.models)), "the only model"))
            if len(self._defaults) >= MOST_ROUTES:
                self._defaults.clear()
            self._defaults[type_name] = found
        return self._defaults[type_name]

    def _standing_of(self, patient: Patient) -> dict[str, Any]:
        """What it would be if nobody said anything more. One object for all of a type."""
        standing = self._standing.get((patient.type, patient.needs_model))
        if standing is None:
            if len(self._standing) >= MOST_ROUTES:
                self._standing.clear()
            defaults = self._defaults_of(patient.type)
            needs = ("lane", "urgency", "model") if patient.needs_model else ("lane", "urgency")
            standing = {name: defaults[name][0].value for name in needs if defaults[name]}
            self._standing[patient.type, patient.needs_model] = standing
        return standing

    def _no_model(self, patient: Patient, chart: _Chart) -> InputError:
        if not chart.refused:
            return NoModel(
                "nothing says which model to use",
                hint='give one with --model, or set model = "…" under [defaults] in laneway.toml;'
                " `laneway init` writes a config",
            )
        reasons = "; ".join(f"{model}: {why}" for model, why in chart.refused.items())
        able = [model for model in self._config.models if self._cannot(model, patient) is None]
        return InputError(
            f"no model of its route can take it: {reasons}",
            hint=f"{', '.join(able)} could: name it in a rule, as a fallback or as the default"
            if able
            else "no configured model can take it",
        )

    def _look_for_fields(self, patient: Patient) -> None:
        for name, get in list(self._unseen.items()):
            if get(patient, {}) is not None:
                del self._unseen[name]

    def _interned(self, chart: _Chart) -> Route:
        """Equal routes are one object: the store keeps each once."""
        filled, why = chart.filled, chart.why
        key = (*map(filled.get, FILLED), *why.items(), *chart.refused.items())
        route = self._routes.get(key)
        if route is None:
            refused = {f"not {model}": text for model, text in chart.refused.items()}
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            route = self._routes[key] = Route(
                lane=filled["lane"],
                urgency=filled["urgency"],
                model=filled["model"],
                fallbacks=tuple(one for one in filled.get("fallbacks", _NONE) if one != filled["model"]),
                category=filled.get("category"),
                complexity=filled.get("complexity"),
                reasons={**why, **refused},
            )
        return route


def left_open(route: Route) -> set[str]:
    """What only a default says, or nothing: of this the classifier may be asked."""
    open_ = {name for name in ("category", "complexity") if getattr(route, name) is None}
    said = route.reasons.get("urgency", "")
    return open_ | {"urgency"} if said == DEFAULTS or said.startswith(OF_TYPE) else open_


def raised_by_text(standing: Urgency, label: str) -> Urgency | None:
    """What a text alone can make of an urgency: one class more at most, and never immediate. None: nothing."""
    said = Urgency[label.upper()]
    raised = Urgency(max(said, standing - 1, Urgency.URGENT))
    return raised if raised < standing else None


def explain(route: Route) -> list[str]:
    """A route in lines for people: what was decided, and which step decided it."""
    shown: dict[str, str | None] = {
        "lane": route.lane,
        "urgency": route.urgency.label,
        "model": route.model or "(chosen by the task itself)",
        "fallbacks": ", ".join(route.fallbacks),
        "category": route.category,
        "complexity": route.complexity,
    }
    lines = []
    for name, value in shown.items():
        if value:
            reason = route.reasons.get(name)
            lines.append(f"{name}: {value}" + (f"   ({reason})" if reason else ""))
    if route.confidence is not None:
        lines.append(f"confidence: {route.confidence:.2f}")
    return lines + [f"{what}: {why}" for what, why in route.reasons.items() if what.startswith("not ")]


def _alike(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one, other.casefold()).ratio() > 0.7
