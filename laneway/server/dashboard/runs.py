"""Runs: all of them, the newest first."""

from __future__ import annotations

from laneway.app.views.runs import runs
from laneway.server.dashboard.filters import cursor_of, link
from laneway.server.dashboard.page import Asked, Figures, Page

ROWS = 40


async def figures(asked: Asked) -> Figures:
    cursor = cursor_of(asked)
    found = await runs(asked.lw, asked.team, cursor=cursor, limit=ROWS)
    return {
        "runs": found.runs,
        "teams": asked.caller.sees_all and any(run.team for run in found.runs),
        "older": None if found.next is None else link("/runs", {"cursor": found.next}),
        "first": None if cursor is None else "/runs",
    }


RUNS = Page("/runs", "Runs", "runs.html", figures)
