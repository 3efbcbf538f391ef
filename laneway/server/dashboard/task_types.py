"""Task types: how long they wait and run, how often they fail, what one costs."""

from __future__ import annotations

from dataclasses import dataclass

from laneway.app.views.figures import Work, work_of
from laneway.server.dashboard.page import Asked, Figures, Page
from laneway.server.dashboard.periods import PERIODS, period_of
from laneway.store.tallies import Histogram, TallyKind

MOST = 100  # rows of a page
DRAWN = 24  # columns of a histogram


@dataclass(frozen=True, slots=True)
class TypeRow:
    """``shape``: how run times spread, from the shortest on, in steps that grow."""

    name: str
    work: Work
    shape: tuple[int, ...]


async def figures(asked: Asked) -> Figures:
    period = period_of(asked.query)
    found = await period.tallies(asked.lw.store, TallyKind.TYPE, asked.now, asked.team)
    found = sorted(found, key=lambda one: (-one.ended, one.name))
    rows = [TypeRow(one.name, work_of(one), shape(one.run)) for one in found[:MOST]]
    return {"types": rows, "hidden": max(0, len(found) - MOST), "period": period, "periods": PERIODS}


def shape(histogram: Histogram) -> tuple[int, ...]:
    """Neighbours together, so that it fits."""
    if not histogram:
        return ()
    low, high = min(histogram), max(histogram)
    width = max(1, -(-(high - low + 1) // DRAWN))
    columns = [0] * -(-(high - low + 1) // width)
    for number, n in histogram.items():
        columns[(number - low) // width] += n
    return tuple(columns)


TYPES = Page("/types", "Types", "task_types.html", figures)
