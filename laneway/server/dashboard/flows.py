"""Flows, the newest first."""

from __future__ import annotations

from laneway.server.dashboard.filters import cursor_of, link
from laneway.server.dashboard.page import Asked, Figures, Page
from laneway.store.steering import Selector
from laneway.task import FLOW, NEW_FLOW, RESTING_FLOW, State, is_flow

ROWS = 50
OF_FLOWS = (NEW_FLOW, FLOW, RESTING_FLOW)
CHOICES = {
    "": ("All", ()),
    "open": ("Under way", tuple(state for state in State if not state.ended)),
    "failed": ("Failed", (State.FAILED,)),
    "succeeded": ("Done", (State.SUCCEEDED,)),
}


async def figures(asked: Asked) -> Figures:
    cursor, chosen = cursor_of(asked), asked.query.get("state", "")
    chosen = chosen if chosen in CHOICES else ""
    _, states = CHOICES[chosen]
    there = any(is_flow(depth.model) for depth in await asked.lw.store.depths(team=asked.team))
    wanted = Selector(states=states, models=OF_FLOWS, team=asked.team)
    page = await asked.lw.store.list_tasks(wanted, cursor, ROWS) if there else None
    fields = {"state": chosen}
    return {
        "there": there,
        "flows": page.tasks if page else [],
        "choices": [(name, said, link("/flows", {"state": name})) for name, (said, _) in CHOICES.items()],
        "chosen": chosen,
        "older": link("/flows", {**fields, "cursor": page.next}) if page and page.next is not None else None,
        "first": link("/flows", fields) if cursor is not None else None,
    }


FLOWS = Page("/flows", "Flows", "flows.html", figures)
