"""Lanes: how deep, how old, how soon empty."""

from __future__ import annotations

from laneway.app.views import lanes
from laneway.app.views.lanes import Lane
from laneway.server.dashboard.page import Asked, Figures, Page
from laneway.server.dashboard.steered import holding, page_of_one
from laneway.store.steering import PauseKind

MOST = 100  # rows of a page


async def lane_rows(asked: Asked) -> list[Lane]:
    """Those with the most to do first."""
    found = await lanes(asked.lw, asked.team)
    return sorted(found, key=lambda lane: (-lane.left, -lane.hour.succeeded - lane.hour.failed, lane.name))


async def figures(asked: Asked) -> Figures:
    found = await lane_rows(asked)
    return {"lanes": found[:MOST], "hidden": max(0, len(found) - MOST), "steers": asked.caller.steers_shared}


LANES = Page("/lanes", "Lanes", "lanes.html", figures, holding(PauseKind.LANE))
LANE = page_of_one(PauseKind.LANE, lanes, "it is there when a task or laneway.toml names it")
