"""What a choice among models saved in a run, and how much of the strongest's quality it is expected to have kept.

The cost of the strongest model for everything is that of the same tokens at its prices. The quality is what the file of
the choice expects of a sample of the run's tasks on the models that answered them; it is not measured here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from laneway.errors import LanewayError
from laneway.store.steering import Selector
from laneway.task import Outcome, State, Usage

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.providers.catalog import Catalog
    from laneway.providers.model import Model
    from laneway.store.figures import RunFigures
    from laneway.store.interface import Store
    from laneway.store.runs import Run
    from laneway.task import Task
    from laneway.triage.learned.choice import Choice

SAMPLE = 1000  # tasks whose quality is expected


@dataclass(frozen=True, slots=True)
class Saving:
    """``share``: of the run's tasks, by the model whose answer they have. USD of the whole run, classifier and weak
    answers included. ``quality_kept``: expected, of the strongest's; None where the file cannot say."""

    strongest: str
    share: Mapping[str, float]
    cost_usd: float | None
    strongest_usd: float | None
    quality_kept: float | None
    file: str

    @property
    def others(self) -> float:
        """The share of tasks that were not left to the strongest model."""
        return 1.0 - self.share.get(self.strongest, 0.0)

    @property
    def saved(self) -> float | None:
        if self.cost_usd is None or not self.strongest_usd:
            return None
        return 1.0 - self.cost_usd / self.strongest_usd

    def as_json(self) -> dict[str, Any]:
        return {
            "strongest": self.strongest,
            "share": {name: round(part, 4) for name, part in self.share.items()},
            "on_cheaper": round(self.others, 4),
            "cost_usd": self.cost_usd,
            "strongest_cost_usd": None if self.strongest_usd is None else round(self.strongest_usd, 8),
            "saved": None if self.saved is None else round(self.saved, 4),
            "quality_kept_expected": None if self.quality_kept is None else round(self.quality_kept, 4),
            "model_file": self.file,
        }


async def saving_of(config: Config, store: Store, run: Run, total: RunFigures, catalog: Catalog) -> Saving | None:
    """None where no choice among models was learnt, or its file cannot be read any more."""
    if config.triage.model is None:
        return None
    from laneway.triage.learned.choice import KIND, Choice
    from laneway.triage.learned.files import load

    path = config.folder / config.triage.model
    try:
        choice = await asyncio.to_thread(lambda: Choice(load(path, KIND)))
        strongest = catalog.model(choice.models[choice.strongest])
    except LanewayError:
        return None
    tasks = sum(group.tasks for group in total.by_model)
    share = {group.name: group.tasks / tasks for group in total.by_model if group.name}
    cost = None if total.cost_unknown_tasks else total.cost_usd
    seen = await store.get_tasks(_spread(await store.select(Selector(run_id=run.id, states=(State.SUCCEEDED,)))))
    kept = await asyncio.to_thread(_quality_kept, choice, seen)
    return Saving(strongest.name, share, cost, _cost_of_all(strongest, total), kept, choice.id)


def _spread(ids: Sequence[int]) -> Sequence[int]:
    """At most SAMPLE of them, evenly."""
    return ids[:: -(-len(ids) // SAMPLE)] if ids else ids


def _cost_of_all(strongest: Model, total: RunFigures) -> float | None:
    """USD for the tokens of all calls whose answers were taken."""
    inputs, outputs = total.outcome_tokens.get(Outcome.OK, (0, 0))
    return strongest.cost(Usage(inputs, outputs))


def _quality_kept(choice: Choice, tasks: Sequence[Task]) -> float | None:
    """Expected over these tasks, of what the strongest model would have had."""
    known = [task for task in tasks if task.model in choice.models and not task.pruned]
    if not known:
        return None
    quality = choice.expect([_text(task) for task in known], [task.type for task in known]).quality
    had = sum(row[choice.models.index(task.model)] for row, task in zip(quality, known, strict=True))
    best = sum(row[choice.strongest] for row in quality)
    return float(had / best) if best > 0 else None


def _text(task: Task) -> str:
    """What triage saw of it."""
    from laneway.intake.prompts import record_text
    from laneway.providers.chat import asked_text

    if task.record:
        return record_text(orjson.loads(task.record)) or asked_text(task.wire, task.body)
    return asked_text(task.wire, task.body)
