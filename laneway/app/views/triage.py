"""Triage: which models the work went to, and what that saved against the dearest one for everything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from laneway.app.views.figures import Shown, day
from laneway.errors import LanewayError
from laneway.store.tallies import TallyKind
from laneway.store.teams import ALL, OfTeam
from laneway.task import CLASSIFY, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from laneway.app.laneway import Laneway
    from laneway.config.models import Config
    from laneway.store.tallies import Tally


@dataclass(frozen=True, slots=True)
class Share(Shown):
    """``tasks``: that ended with this model. USD as far as prices are known."""

    model: str
    tasks: int
    share: float
    failed: int
    calls: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Triage(Shown):
    """Of the last 24 hours. ``strongest``: the model that the learnt choice takes for the strongest, else the dearest
    of the config; ``strongest_usd``: the same tokens at its prices. ``saved``: 0 to 1 of that. ``classifier_usd``: what
    triage's own questions cost, of ``cost_usd``."""

    models: list[Share]
    cost_usd: float
    strongest: str | None
    strongest_usd: float | None
    saved: float | None
    classifier_calls: int
    classifier_usd: float


async def triage(lw: Laneway, team: OfTeam = ALL) -> Triage:
    store, now = lw.store, lw.clock.now()
    by_model = await day(store, TallyKind.MODEL, now, team)
    questions = (await day(store, TallyKind.TYPE, now, team)).get(CLASSIFY)
    strongest = await asyncio.to_thread(strongest_of, lw.config)
    tasks = sum(one.ended for one in by_model.values())
    cost = sum(one.cost for one in by_model.values())
    inputs = sum(one.input_tokens for one in by_model.values())
    outputs = sum(one.output_tokens for one in by_model.values())
    whole = await asyncio.to_thread(at_prices, lw, strongest, inputs, outputs) if strongest else None
    return Triage(
        models=sorted((_share(one, tasks) for one in by_model.values()), key=lambda share: -share.tasks),
        cost_usd=round(cost, 8),
        strongest=strongest,
        strongest_usd=None if whole is None else round(whole, 8),
        saved=round(1 - cost / whole, 4) if whole else None,
        classifier_calls=questions.calls if questions else 0,
        classifier_usd=round(questions.cost, 8) if questions else 0.0,
    )


def _share(one: Tally, tasks: int) -> Share:
    share = round(one.ended / tasks, 4) if tasks else 0.0
    return Share(one.name, one.ended, share, one.failed, one.calls, round(one.cost, 8))


def at_prices(lw: Laneway, name: str, inputs: int, outputs: int) -> float | None:
    """USD for so many tokens; None where a model's price is not known. May read a file; not for the event loop."""
    settings = lw.config.models.get(name)
    if settings is not None and settings.input_price is not None and settings.output_price is not None:
        return (inputs * settings.input_price + outputs * settings.output_price) / 1e6
    try:
        return lw.catalog.model(name).cost(Usage(inputs, outputs))
    except LanewayError:
        return None


def strongest_of(config: Config) -> str | None:
    """Reads a file; not for the event loop."""
    return _learnt(config) or _dearest(config)


def _learnt(config: Config) -> str | None:
    if config.triage.model is None:
        return None
    from laneway.triage.learned.choice import KIND, Choice
    from laneway.triage.learned.files import load

    try:
        choice = Choice(load(config.folder / config.triage.model, KIND))
    except LanewayError:
        return None
    return str(choice.models[choice.strongest])


def _dearest(config: Config) -> str | None:
    priced: Mapping[str, float] = {
        name: model.input_price + model.output_price
        for name, model in config.models.items()
        if model.input_price is not None and model.output_price is not None
    }
    return max(priced, key=lambda name: priced[name], default=None)
