"""Lanes: how deep, how old, how soon empty; pausing."""

from __future__ import annotations

from laneway.app.views import lanes
from laneway.app.views.lanes import Lane
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.holding import hold
from laneway.store.steering import PauseKind

MOST = 100  # rows of a page


async def lane_rows(asked: Asked) -> list[Lane]:
    """Those with the most to do first."""
    found = await lanes(asked.lw, asked.team)
    return sorted(found, key=lambda lane: (-lane.left, -lane.hour.succeeded - lane.hour.failed, lane.name))


async def figures(asked: Asked) -> Figures:
    found = await lane_rows(asked)
    return {"lanes": found[:MOST], "hidden": max(0, len(found) - MOST), "steers": asked.caller.steers_shared}


async def pause(asked: Asked) -> str:
    name = asked.form.get("name", "")
    await hold(asked.lw, asked.audit, asked.caller, PauseKind.LANE, name, paused=True)
    return f"Lane {name} is paused: nothing new starts in it until it is resumed."


async def resume(asked: Asked) -> str:
    name = asked.form.get("name", "")
    await hold(asked.lw, asked.audit, asked.caller, PauseKind.LANE, name, paused=False)
    return f"Lane {name} goes on."


LANES = Page("/lanes", "Lanes", "lanes.html", figures, (Deed("pause", pause, True), Deed("resume", resume, True)))
