"""The first page: how things go, what they cost, and what holds them up."""

from __future__ import annotations

from laneway.app.views import overview
from laneway.server.dashboard.accounts import account_rows
from laneway.server.dashboard.holds import holds
from laneway.server.dashboard.lanes import lane_rows
from laneway.server.dashboard.page import Asked, Figures, Page

MOST = 8  # of anything that is listed


async def figures(asked: Asked) -> Figures:
    seen, lanes, accounts = await overview(asked.lw, asked.team), await lane_rows(asked), await account_rows(asked)
    found = list(holds(seen, lanes, accounts))
    uses = [(account, limit) for account in accounts for limit in account.limits if limit.use is not None]
    uses.sort(key=lambda one: -(one[1].use or 0.0))
    return {
        "seen": seen,
        "began": any(seen.counts.values()) or bool(seen.hour.calls),
        "later": seen.counts["waiting"] + seen.counts["triaging"],
        "holds": found[:MOST],
        "more_holds": max(0, len(found) - MOST),
        "busy": [lane for lane in lanes if lane.left][:MOST],
        "more_busy": max(0, sum(1 for lane in lanes if lane.left) - MOST),
        "uses": uses[:MOST],
        "budgets": seen.budgets[:MOST],
    }


OVERVIEW = Page("/", "Overview", "overview.html", figures)
