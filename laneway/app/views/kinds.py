"""Models and types of tasks: how long they wait and run, how many fail, what one costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from laneway.app.standing import accounts_of
from laneway.app.views.figures import NO_WORK, Counts, Point, Shown, Work, counted, day, no_series, series, works
from laneway.store.tallies import TallyKind
from laneway.store.teams import ALL, OfTeam
from laneway.task import CLASSIFY, needs_account

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


@dataclass(frozen=True, slots=True)
class Model(Shown):
    """``counts``: tasks that are queued for it or ended with it. Prices in USD per million tokens."""

    name: str
    accounts: list[str]
    counts: Counts
    input_price: float | None
    output_price: float | None
    hour: Work
    minutes: list[Point]


@dataclass(frozen=True, slots=True)
class TaskType(Shown):
    name: str
    hour: Work
    minutes: list[Point]


async def models(lw: Laneway, team: OfTeam = ALL) -> list[Model]:
    """By name: those of the config, and those that have tasks."""
    store, now, config = lw.store, lw.clock.now(), lw.config
    depths = [one for one in await store.depths(team=team) if needs_account(one.model)]
    hour, minutes = await works(store, TallyKind.MODEL, now, team), await series(store, TallyKind.MODEL, now, team)
    found = []
    for name in sorted({*config.models, *hour, *(one.model for one in depths)}):
        settings = config.models.get(name)
        found.append(
            Model(
                name=name,
                accounts=list(accounts_of(config, name)),
                counts=counted(one.counts for one in depths if one.model == name),
                input_price=settings.input_price if settings else None,
                output_price=settings.output_price if settings else None,
                hour=hour.get(name, NO_WORK),
                minutes=minutes.get(name) or no_series(now),
            )
        )
    return found


async def types(lw: Laneway, team: OfTeam = ALL) -> list[TaskType]:
    """By name: those of the config, and those of which tasks ended in the last day."""
    store, now = lw.store, lw.clock.now()
    hour, minutes = await works(store, TallyKind.TYPE, now, team), await series(store, TallyKind.TYPE, now, team)
    known = await day(store, TallyKind.TYPE, now, team)
    return [
        TaskType(name, hour.get(name, NO_WORK), minutes.get(name) or no_series(now))
        for name in sorted({*lw.config.types, *hour, *known} - {CLASSIFY})
    ]
