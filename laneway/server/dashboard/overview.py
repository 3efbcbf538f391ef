"""The first page: how things go."""

from __future__ import annotations

from laneway.server.dashboard.page import Asked, Figures, Page
from laneway.task import State


async def figures(asked: Asked) -> Figures:
    counts = dict.fromkeys(State, 0)
    for cell in await asked.lw.store.tally():
        for state, n in cell.counts.items():
            counts[state] += n
    return {"counts": {state.value: n for state, n in counts.items()}}


OVERVIEW = Page("/", "Overview", "overview.html", figures)
