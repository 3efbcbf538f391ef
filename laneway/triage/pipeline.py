"""The nurse: pins, hard filters, rules, the type's own settings, defaults. Assesses only; calls nobody."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from laneway.config.models import Config, RuleConfig
from laneway.errors import ConfigError, InputError
from laneway.task import Route, Urgency
from laneway.triage.conditions import Predicate, compile_when, fields_named
from laneway.triage.patient import Patient

RuleFunction = Callable[[Patient], Mapping[str, Any] | None]
FILLED = ("lane", "urgency", "model", "fallbacks", "category", "complexity")


class _Rule:
    """A rule of either kind: when it matches, it gives the fields it would fill."""

    def __init__(self, name: str, applies: Predicate, fill: Callable[[Patient], Mapping[str, Any] | None]) -> None:
        self.name = name
        self.applies = applies
        self.fill = fill
        self.fields: set[str] = set()
        self.hits = 0


class Triage:
    """``functions``: rules registered in Python, asked after the config's. ``models``: the names that may be chosen
    (None: any)."""

    def __init__(
        self,
        config: Config,
        *,
        functions: Mapping[str, RuleFunction] | None = None,
        models: Collection[str] | None = None,
    ) -> None:
        self._config = config
        self._models = models
        self._rules = [self._compile(number, rule) for number, rule in enumerate(config.rules, 1)]
        for name, function in (functions or {}).items():
            self._rules.append(_Rule(f"rule {name}()", lambda patient, known: True, _guarded(name, function)))
        self._routes: dict[tuple[Any, ...], Route] = {}
        self._seen_fields: set[str] = set()

    def urgency_of(self, word: str) -> Urgency:
        """An urgency by name or alias. Raises InputError that lists the words."""
        try:
            return self._config.urgency_of(word)
        except ValueError as error:
            raise InputError(str(error), hint="or add the word to an urgency's aliases in laneway.toml") from None

    def assess(self, patient: Patient) -> Route:
        """The route of a task. Raises InputError when no model is left that could take it."""
        known: dict[str, Any] = {}
        why: dict[str, str] = {}
        pins = patient.pins

        def fill(field: str, value: Any, reason: str) -> None:
            if value is not None and field not in known:
                known[field], why[field] = value, reason

        for field in ("lane", "urgency", "model"):
            fill(field, getattr(pins, field), f"pinned by {pins.by}")
        self._seen_fields.update(patient.fields)
        for rule in self._rules:
            if all(field in known for field in FILLED) or not rule.applies(patient, known):
                continue
            rule.hits += 1
            for field, value in (rule.fill(patient) or {}).items():
                self._fill_from_rule(rule, field, value, patient, fill, why)
        own = self._config.types.get(patient.type)
        if own is not None:
            reason = f"type {patient.type}"
            fill("lane", own.lane, reason)
            fill("urgency", self._config.urgency_of(own.urgency) if own.urgency else None, reason)
            fill("model", own.model, reason)
        fill("lane", self._config.defaults.lane, "[defaults]")
        fill("urgency", self._config.urgency_of(self._config.defaults.urgency), "[defaults]")
        if patient.needs_model:
            self._choose_safe_model(fill, known)
            self._check_model(patient, known, why)
        else:
            known["model"] = ""
        return self._interned(known, why)

    def unused(self) -> list[str]:
        """Warnings about rules that could not match because they name a field that no record had."""
        return [
            f"{rule.name} looks at {', '.join(sorted(missing))}, which no record has"
            for rule in self._rules
            if not rule.hits and (missing := rule.fields - self._seen_fields) and self._seen_fields
        ]

    def _compile(self, number: int, rule: RuleConfig) -> _Rule:
        name = f"rule {number}" + (f' "{rule.name}"' if rule.name else "")
        applies = compile_when(rule.when, self._config, name)
        if rule.function:
            made = _Rule(name, applies, _guarded(rule.function, _load(rule.function, self._config, name)))
        else:
            filled = {field: getattr(rule, field) for field in FILLED if getattr(rule, field) is not None}
            made = _Rule(name, applies, lambda patient: filled)
        made.fields = fields_named(rule.when)
        return made

    def _fill_from_rule(
        self, rule: _Rule, field: str, value: Any, patient: Patient, fill: Callable[..., None], why: dict[str, str]
    ) -> None:
        if field not in FILLED:
            raise InputError(f"{rule.name} fills {field!r}", hint=f"a rule may fill {', '.join(FILLED)}")
        if field == "urgency":
            value = self.urgency_of(value.label if isinstance(value, Urgency) else str(value))
        elif field == "fallbacks":
            value = tuple(value)
        elif field == "model" and (reason := self._cannot(str(value), patient)):
            why[f"not {value}"] = f"{rule.name} would, but {reason}"
            return
        fill(field, value, rule.name)

    def _cannot(self, model: str, patient: Patient) -> str | None:
        """Why a model cannot take a task, None when it can."""
        if model in patient.unsupported_by:
            return "it does not take this request's format"
        settings = self._config.models.get(model)
        window = settings.context_window if settings else None
        if window is not None and patient.input_tokens + patient.output_tokens > window:
            return f"about {patient.input_tokens + patient.output_tokens:,} tokens exceed its window of {window:,}"
        return None

    def _choose_safe_model(self, fill: Callable[..., None], known: Mapping[str, Any]) -> None:
        fill("model", self._config.defaults.model, "[defaults]")
        if "model" not in known and len(self._config.models) == 1:
            fill("model", next(iter(self._config.models)), "the only model")
        if "model" not in known:
            raise InputError(
                "nothing says which model to use",
                hint='set model = "…" under [defaults] in laneway.toml, or give --model',
            )

    def _check_model(self, patient: Patient, known: dict[str, Any], why: dict[str, str]) -> None:
        """The hard filters hold for every model of the route."""
        chain = [known["model"], *known.get("fallbacks", ())]
        fit = [model for model in chain if self._cannot(model, patient) is None]
        if not fit:
            raise InputError(f"model {chain[0]}: {self._cannot(chain[0], patient)}", hint="choose another model for it")
        if fit[0] != chain[0]:
            why["model"] = f"{chain[0]} ({why['model']}) cannot: {self._cannot(chain[0], patient)}"
        known["model"] = fit[0]
        known["fallbacks"] = tuple(model for model in dict.fromkeys(fit) if model != fit[0])

    def _interned(self, known: Mapping[str, Any], why: Mapping[str, str]) -> Route:
        place = (*(known.get(field) for field in FILLED), tuple(sorted(why.items())))
        route = self._routes.get(place)
        if route is None:
            route = self._routes[place] = Route(
                lane=known["lane"],
                urgency=known["urgency"],
                model=known["model"],
                fallbacks=known.get("fallbacks", ()),
                category=known.get("category"),
                complexity=known.get("complexity"),
                reasons=dict(why),
            )
        return route


def explain(route: Route) -> list[str]:
    """A route in lines for people: what was decided, and which step decided it."""
    shown = {
        "lane": route.lane,
        "urgency": route.urgency.label,
        "model": route.model or "(chosen by the task itself)",
        "fallbacks": ", ".join(route.fallbacks),
        "category": route.category,
        "complexity": route.complexity,
    }
    lines = [
        f"{field}: {value}   ({route.reasons.get(field, 'not needed')})" for field, value in shown.items() if value
    ]
    return lines + [f"{what}: {why}" for what, why in route.reasons.items() if what.startswith("not ")]


def _guarded(name: str, function: RuleFunction) -> RuleFunction:
    def call(patient: Patient) -> Mapping[str, Any] | None:
        try:
            return function(patient)
        except Exception as error:
            raise InputError(
                f"the rule {name} raised {type(error).__name__}: {error}",
                hint="mend the function, or take the rule out",
            ) from error

    return call


def _load(reference: str, config: Config, place: str) -> RuleFunction:
    """A function by ``module:name``; modules beside the config are found as well."""
    import sys

    module, _, name = reference.partition(":")
    if str(config.folder) not in sys.path:
        sys.path.insert(0, str(config.folder))
    try:
        function: RuleFunction = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{place}: the function {reference!r} cannot be loaded: {error}", hint='write "module:function"'
        ) from error
    return function
