"""The choice among models, for the nurse: of many tasks at once, the cheapest model that keeps the floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.providers.formats import known_as
from laneway.triage.learned.choice import KIND, Choice
from laneway.triage.learned.files import load
from laneway.triage.patient import Patient


class Chosen(NamedTuple):
    """``fallbacks``: the models that are better on the whole, the next one first."""

    model: str
    fallbacks: tuple[str, ...]
    reason: str


class Chooser:
    """Raises ConfigError for a file that cannot be used, or names a model that there is not."""

    field = "model"

    def __init__(self, config: Config, path: Path) -> None:
        try:
            self._choice = choice = Choice(load(config.folder / path, KIND))
        except ConfigError as error:
            raise ConfigError(f"triage.model: {error.message}", hint=error.hint) from None
        if unknown := [name for name in choice.models if known_as(config, name) is None]:
            raise ConfigError(
                f"triage.model: {path} chooses among {', '.join(choice.models)}, and no model is called {unknown[0]}",
                hint="call the models in laneway.toml as the table of outcomes does, or train again without that one",
            )
        self._floor = config.triage.quality_floor
        self._ways = [self._way(config, at) for at in range(len(choice.models))]

    def _way(self, config: Config, at: int) -> Chosen:
        choice = self._choice
        names = [known_as(config, choice.models[one]) or "" for one in (at, *choice.stronger(at))]
        return Chosen(names[0], tuple(names[1:]), f"learnt (model {choice.id}), for {self._floor:.1%} of the quality")

    def find(self, patients: Sequence[Patient]) -> list[Chosen]:
        bound = self._choice.expect([one.text for one in patients], [one.type for one in patients]).bound
        return [self._ways[int(at)] for at in self._choice.choose(bound, self._floor)]
