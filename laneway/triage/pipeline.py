"""The nurse: what decides about a task, in order. Assesses only; calls nobody.

    pins → hard filters → rules → examples → the classifier's word → choice among models → type and defaults

A field once filled stays. What examples and the classifier find in a text is visible to rules, and fills what they
leave open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from laneway.config.models import Config
from laneway.errors import ConfigError, InputError, NoModel
from laneway.providers.formats import known_as
from laneway.task import Route, Urgency, needs_account
from laneway.triage.chart import Chart, Step
from laneway.triage.defaults import DEFAULTS, OF_TYPE, ByDefaults
from laneway.triage.filters import Filters, Fits
from laneway.triage.models import NONE, Models
from laneway.triage.patient import Patient
from laneway.triage.rules import FILLED, RuleFunction, compile_rules
from laneway.triage.steps import ByChoice, ByClassifier, ByExamples, ByRules

if TYPE_CHECKING:
    from laneway.triage.learned.nurse import Nurse

MOST_ROUTES = 10_000  # kept as one object each; more than this many distinct ones means that sharing is hopeless


class Triage:
    """``functions``: rules registered in Python, asked after the config's. ``models``: the names that a function may
    choose (None: any). ``fits(model, patient)``: one more hard filter; why that model cannot take it, or None.

    Raises ConfigError for a rule that cannot be understood or a model file that cannot be used.
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
        of_route = Models(self.filters)
        classifier = config.triage.classifier
        self._rules = ByRules(compile_rules(config, functions or {}, models), of_route)
        self._defaults = ByDefaults(config, of_route)
        self.nurse = nurse_of(config)
        self.steps: Sequence[Step] = (
            self._rules,
            *((ByExamples(),) if self.nurse else ()),
            ByClassifier(f"classifier {classifier.model}" if classifier else "classifier"),
            *((ByChoice(of_route),) if self.nurse else ()),
            self._defaults,
        )
        self._looking = [step for step in self.steps if type(step).look is not Step.look]
        self._routes: dict[tuple[Any, ...], Route] = {}

    def urgency_of(self, word: str) -> Urgency:
        """An urgency by name or alias. Raises InputError that lists the words."""
        try:
            return self._config.urgency_of(word)
        except ValueError as error:
            raise InputError(str(error), hint="or add the word to an urgency's aliases in laneway.toml") from None

    def examine(self, patients: Sequence[Patient]) -> None:
        """Ask the model files about all of these at once, before each is assessed. Nobody has to: ``assess`` asks for
        one, which takes longer."""
        if self.nurse is not None:
            self.nurse.examine(patients)

    def assess(self, patient: Patient) -> Route:
        """The route of a task. Raises InputError when no model is left that could take it, or when a rule's function
        fails."""
        if patient.found is None:
            self.examine([patient])
        chart = self._admit(patient)
        for step in self._looking:
            step.look(patient, chart)
        for step in self.steps:
            step.fill(patient, chart)
        if patient.needs_model and "model" not in chart.filled:
            raise self._no_model(patient, chart)
        return self._interned(chart)

    def assess_many(self, patients: Iterable[Patient]) -> list[Route]:
        """``assess`` for each. Raises at the first that has no route."""
        known = list(patients)
        self.examine([patient for patient in known if patient.found is None])
        return [self.assess(patient) for patient in known]

    def refusal(self, model: str, patient: Patient) -> str | None:
        """Why this model cannot take this task when somebody insists on it; None when it can."""
        why = self.filters.cannot(model, patient, pinned=True)
        return why.text if why else None

    def unused(self) -> list[tuple[str, str]]:
        """(rule, why) for each rule that cannot have matched so far, because it looks at a field that no record had."""
        return self._rules.unused()

    @property
    def looked_at(self) -> frozenset[str]:
        """Of category, complexity and urgency those on which a rule depends."""
        return self._rules.looked_at

    def _admit(self, patient: Patient) -> Chart:
        """Pins first: whatever is fixed by the submitter is never changed."""
        pins = patient.pins
        chart = Chart({}, {}, dict(self._defaults.standing(patient)))
        reason = f"pinned by {pins.by}"
        chart.fill("lane", pins.lane, reason)
        chart.fill("urgency", pins.urgency, reason)
        if not patient.needs_model:
            chart.filled["model"], chart.filled["fallbacks"] = "", NONE
        elif pins.model is not None:
            model = known_as(self._config, pins.model) or pins.model  # it may be pinned by the provider's id
            if why := self.filters.cannot(model, patient, pinned=True):
                raise InputError(
                    f"model {model}, {reason}: {why.text}",
                    hint="choose another model for it, or leave it to triage",
                )
            chart.fill("model", model, reason)
            chart.filled["fallbacks"] = NONE
        return chart

    def _no_model(self, patient: Patient, chart: Chart) -> InputError:
        if not chart.refused:
            return NoModel(
                "nothing says which model to use",
                hint='give one with --model, or set model = "…" under [defaults] in laneway.toml;'
                " `laneway init` writes a config",
            )
        reasons = "; ".join(f"{model}: {why}" for model, why in chart.refused.items())
        able = [model for model in self._config.models if self.filters.cannot(model, patient) is None]
        return InputError(
            f"no model of its route can take it: {reasons}",
            hint=f"{', '.join(able)} could: name it in a rule, as a fallback or as the default"
            if able
            else "no configured model can take it",
        )

    def _interned(self, chart: Chart) -> Route:
        """Equal routes are one object: the store keeps each once."""
        filled, why = chart.filled, chart.why
        key = (*map(filled.get, FILLED), chart.confidence, *why.items(), *chart.refused.items())
        route = self._routes.get(key)
        if route is None:
            refused = {f"not {model}": text for model, text in chart.refused.items()}
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            route = self._routes[key] = Route(
                lane=filled["lane"],
                urgency=filled["urgency"],
                model=filled["model"],
                fallbacks=tuple(one for one in filled.get("fallbacks", NONE) if one != filled["model"]),
                category=filled.get("category"),
                complexity=filled.get("complexity"),
                confidence=chart.confidence,
                reasons={**why, **refused},
            )
        return route


def nurse_of(config: Config) -> Nurse | None:
    """The model files that the config names, read; None where it names none, and nothing of numpy is imported then.
    Raises ConfigError."""
    if not config.triage.reads_texts:
        return None
    try:
        from laneway.triage.learned.nurse import Nurse
    except ImportError as error:
        raise ConfigError(
            f"[triage] names model files, and numpy is not there ({error})", hint="pip install 'laneway[learn]'"
        ) from None
    return Nurse(config)


def left_open(route: Route) -> set[str]:
    """What only a default says, or nothing: of this the classifier may be asked."""
    open_ = {name for name in ("category", "complexity") if getattr(route, name) is None}
    said = route.reasons.get("urgency", "")
    return open_ | {"urgency"} if said == DEFAULTS or said.startswith(OF_TYPE) else open_


def explain(route: Route) -> list[str]:
    """A route in lines for people: what was decided, and which step decided it."""
    shown: dict[str, str | None] = {
        "lane": route.lane,
        "urgency": route.urgency.label,
        "model": route.model if needs_account(route.model) else "(chosen by the task itself)",
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
