"""One lane, and its limits."""

from __future__ import annotations

from laneway.app.views import lanes
from laneway.errors import NotFoundError
from laneway.server.dashboard.lanes import pause, resume
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.dashboard.setting import change, settings_of
from laneway.store.steering import PauseKind


async def figures(asked: Asked) -> Figures:
    name = asked.place["name"]
    lane = next((one for one in await lanes(asked.lw, asked.team) if one.name == name), None)
    if lane is None:
        raise NotFoundError(f"there is no lane {name!r}", hint="it is there when a task or laneway.toml names it")
    return {
        "title": f"Lane {name}",
        "lane": lane,
        "settings": await settings_of(asked, PauseKind.LANE, name),
        "steers": asked.caller.steers_shared,
    }


async def set_(asked: Asked) -> str:
    name = asked.place["name"]
    await change(asked, PauseKind.LANE, name)
    return f"The limits of lane {name} are set: all workers go by them within a second."


LANE = Page(
    "/lanes/{name:path}",
    "Lane",
    "lane.html",
    figures,
    (Deed("pause", pause, True), Deed("resume", resume, True), Deed("limits", set_, True)),
    under="/lanes",
)
