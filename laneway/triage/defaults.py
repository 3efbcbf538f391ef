"""The last step: what the task's type says, then [defaults], then the only model there is, then what a request asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from laneway.config.models import Config
from laneway.providers.formats import known_as
from laneway.triage.chart import Chart, Step
from laneway.triage.models import NONE, Models
from laneway.triage.patient import Patient

DEFAULTS, OF_TYPE = "[defaults]", "type "  # reasons: only a default says so
MOST_TYPES = 10_000  # remembered


@dataclass(frozen=True, slots=True)
class _Default:
    """What the type or [defaults] say of a field, and which of the two."""

    value: Any
    reason: str
    fallbacks: tuple[str, ...] = ()


class ByDefaults(Step):
    def __init__(self, config: Config, models: Models) -> None:
        self._config = config
        self._models = models
        self._defaults: dict[str, dict[str, list[_Default]]] = {}
        self._standing: dict[tuple[str, bool], dict[str, Any]] = {}  # by type, and whether it needs a model

    def fill(self, patient: Patient, chart: Chart) -> None:
        for name, default in self._defaults_of(patient.type).items():
            for one in default:
                if name == "model":
                    self._models.take(one.value, one.fallbacks, one.reason, patient, chart)
                else:
                    chart.fill(name, one.value, one.reason)
        if patient.needs_model and "model" not in chart.filled:
            self._take_what_it_asks(patient, chart)

    def standing(self, patient: Patient) -> dict[str, Any]:
        """What it would be if nobody said anything more. One object for all of a type."""
        standing = self._standing.get((patient.type, patient.needs_model))
        if standing is None:
            if len(self._standing) >= MOST_TYPES:
                self._standing.clear()
            defaults = self._defaults_of(patient.type)
            needs = ("lane", "urgency", "model") if patient.needs_model else ("lane", "urgency")
            standing = {name: defaults[name][0].value for name in needs if defaults[name]}
            self._standing[patient.type, patient.needs_model] = standing
        return standing

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
            if len(self._defaults) >= MOST_TYPES:
                self._defaults.clear()
            self._defaults[type_name] = found
        return self._defaults[type_name]

    def _take_what_it_asks(self, patient: Patient, chart: Chart) -> None:
        """Nothing says which model: the one that the request itself names, if it is one of ours."""
        asked = patient.pins.asked
        if asked is not None and self._config.models:
            asked = known_as(self._config, asked)
        if asked is not None:
            self._models.take(asked, NONE, "the request asks for it", patient, chart)
