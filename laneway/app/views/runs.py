"""Runs: how far they are, and what they have cost of what they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from laneway.app.views.figures import Counts, Shown, counted
from laneway.store.steering import PauseKind
from laneway.store.teams import ALL, OfTeam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from laneway.app.laneway import Laneway
    from laneway.store.runs import Run
    from laneway.task import State

PAGE = 50


@dataclass(frozen=True, slots=True)
class RunLine(Shown):
    """``name``: its results file, or what it is known by. ``progress``: of its tasks, those that have ended, 0 to 1.
    ``budget_used``: of ``max_cost_usd``, 0 to 1. ``sealed``: all of its tasks have come in."""

    id: int
    name: str
    kind: str | None
    team: str | None
    created_at: float
    sealed: bool
    counts: Counts
    tasks: int
    progress: float
    spent_usd: float
    max_cost_usd: float | None
    budget_used: float | None
    paused_since: float | None


@dataclass(frozen=True, slots=True)
class Runs(Shown):
    """``next``: the cursor of what follows; None: nothing does."""

    runs: list[RunLine]
    next: int | None


async def runs(
    lw: Laneway, team: OfTeam = ALL, *, cursor: int | None = None, limit: int = PAGE, kind: str | None = None
) -> Runs:
    """The newest first."""
    found = await lw.store.list_runs(cursor, limit + 1, team=team, kind=kind)
    page = found[:limit]
    return Runs(await lines(lw, page), page[-1].id if len(found) > limit else None)


async def lines(lw: Laneway, found: list[Run]) -> list[RunLine]:
    counts = await lw.store.run_counts([one.id for one in found])
    paused = {one.name: one.since for one in await lw.store.pauses() if one.kind is PauseKind.RUN}
    return [_line(one, counts.get(one.id, {}), paused.get(str(one.id))) for one in found]


def _line(one: Run, states: Mapping[State, int], paused_since: float | None) -> RunLine:
    tasks = sum(states.values())
    ended = sum(n for state, n in states.items() if state.ended)
    return RunLine(
        id=one.id,
        name=str(one.info.get("out") or one.identity),
        kind=one.info.get("kind"),
        team=one.info.get("team"),
        created_at=one.created_at,
        sealed=one.sealed,
        counts=counted([states]),
        tasks=tasks,
        progress=round(ended / tasks, 4) if tasks else 0.0,
        spent_usd=round(one.spent, 8),
        max_cost_usd=one.max_cost,
        budget_used=round(one.budget_spent / one.max_cost, 4) if one.max_cost else None,
        paused_since=paused_since,
    )
