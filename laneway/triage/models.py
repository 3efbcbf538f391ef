"""Models of a route: a step's model and its fallbacks, those of them that can take the task."""

from __future__ import annotations

from collections.abc import Iterable

from laneway.triage.chart import Chart
from laneway.triage.filters import Filters
from laneway.triage.patient import Patient

NONE: tuple[str, ...] = ()


class Models:
    """Fallbacks belong to the model they were named with: a step's come along with its model."""

    def __init__(self, filters: Filters) -> None:
        self.filters = filters

    def take(self, model: str, fallbacks: tuple[str, ...], reason: str, patient: Patient, chart: Chart) -> None:
        """The first that can take the task, where none was chosen yet; the others stay behind it as fallbacks."""
        if "model" in chart.filled:
            if chart.filled["model"] == model and fallbacks:
                self.take_fallbacks(fallbacks, reason, patient, chart)
            return
        fit = self.fit((model, *fallbacks), patient, chart)
        if not fit:
            return
        instead = f" (instead of {model}: {chart.refused[model]})" if fit[0] != model else ""
        chart.fill("model", fit[0], reason + instead)
        if len(fit) > 1:
            chart.fill("fallbacks", fit[1:], reason)

    def take_fallbacks(self, fallbacks: tuple[str, ...], reason: str, patient: Patient, chart: Chart) -> None:
        if "fallbacks" not in chart.filled and (fit := self.fit(fallbacks, patient, chart)):
            chart.fill("fallbacks", fit, reason)

    def fit(self, models: Iterable[str], patient: Patient, chart: Chart) -> tuple[str, ...]:
        """Those that can take the task; of the others the chart says why not."""
        fit = []
        for model in models:
            if why := self.filters.cannot(model, patient):
                chart.refused[model] = why.text
            else:
                fit.append(model)
        return tuple(dict.fromkeys(fit))
