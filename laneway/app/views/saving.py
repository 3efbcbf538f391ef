"""What a run cost against the same tokens on the strongest model alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from laneway.app.views.figures import Shown
from laneway.app.views.triage import at_prices, strongest_of
from laneway.task import Outcome

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.views.runs import RunLine
    from laneway.store.runs import Run

LARGEST = 2_000  # tasks of a run whose calls are added up for a page


@dataclass(frozen=True, slots=True)
class RunSaving(Shown):
    """USD. ``saved``: 0 to 1 of ``strongest_usd``; negative where it cost more."""

    strongest: str
    cost_usd: float
    strongest_usd: float
    saved: float


async def run_saving(lw: Laneway, run: Run, line: RunLine) -> RunSaving | None:
    """None for large runs, of which calls are not added up here, and where prices are not known."""
    if not 0 < line.tasks <= LARGEST:
        return None
    strongest = await asyncio.to_thread(strongest_of, lw.config)
    if strongest is None:
        return None
    figures = await lw.store.figures(run)
    tokens = figures.outcome_tokens.get(Outcome.OK, (0, 0))
    whole = await asyncio.to_thread(at_prices, lw, strongest, *tokens)
    if figures.cost_unknown_tasks or not whole:
        return None
    return RunSaving(strongest, figures.cost_usd, whole, 1 - figures.cost_usd / whole)
