"""The choice among models, asked about many tasks at once: those of the file's models that the config has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.providers.formats import known_as
from laneway.triage.learned.choice import KIND, Choice
from laneway.triage.learned.files import load
from laneway.triage.patient import Patient

STEP = 20  # qualities are told in twentieths: equal reasons let tasks share a route


class Preferred(NamedTuple):
    """What the step ``ByChoice`` makes use of. ``models``: configured ones, the one to take first. ``quality``:
    expected of each, by name."""

    by: Chooser
    models: tuple[str, ...]
    quality: dict[str, float]

    def stronger(self, model: str) -> tuple[str, ...]:
        """Those that are better on the whole, the next one first."""
        return self.by.stronger[model]

    def reason(self, model: str) -> str:
        return self.by.reason(model, self.quality)


class Chooser:
    """Raises ConfigError for a file that cannot be used, or where the config has fewer than two of its models."""

    field = "model"

    def __init__(self, config: Config, path: Path) -> None:
        try:
            self._choice = choice = Choice(load(config.folder / path, KIND))
        except ConfigError as error:
            raise ConfigError(f"triage.model: {error.message}", hint=error.hint) from None
        self._floor = config.triage.quality_floor
        self._names = {at: name for at, model in enumerate(choice.models) if (name := known_as(config, model))}
        if len(self._names) < 2:
            missing = next(model for at, model in enumerate(choice.models) if at not in self._names)
            raise ConfigError(
                f"triage.model: {path} chooses among {', '.join(choice.models)}, and no model is called {missing}",
                hint="give a section [models.NAME] for two of them or more, by that name or with that id",
            )
        self.stronger = {
            name: tuple(self._names[one] for one in choice.stronger(at) if one in self._names)
            for at, name in self._names.items()
        }
        self._strongest = self._names.get(choice.strongest, choice.models[choice.strongest])

    def find(self, patients: Sequence[Patient]) -> list[Preferred]:
        choice, names = self._choice, self._names
        expected = choice.expect([one.text for one in patients], [one.type for one in patients])
        ranked = choice.ranked(expected.bound, self._floor, list(names)).tolist()
        return [
            Preferred(
                self,
                tuple(names[at] for at in order),
                {self._strongest: quality[choice.strongest], **{names[at]: quality[at] for at in order}},
            )
            for order, quality in zip(ranked, expected.quality.tolist(), strict=True)
        ]

    def reason(self, model: str, quality: Mapping[str, float]) -> str:
        """In words, coarse: many tasks have the same."""
        if self._choice.use is not None:
            return f"learnt (model {self._choice.id}): there is nothing to route"
        own, best = (round(quality[name] * STEP) / STEP for name in (model, self._strongest))
        beside = "" if model == self._strongest else f", {self._strongest}'s {best:.2f}"
        return f"learnt (model {self._choice.id}): quality {own:.2f} expected{beside}, floor {self._floor:g}"
