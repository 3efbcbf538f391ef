"""Models: what waits for them, how fast they answer, how often they fail, what they cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from laneway.app.views.figures import NO_WORK, Work, work_of
from laneway.server.dashboard.page import Asked, Figures, Page
from laneway.server.dashboard.periods import PERIODS, period_of
from laneway.store.tallies import TallyKind
from laneway.task import State, needs_account

MOST = 100  # rows of a page


@dataclass(frozen=True, slots=True)
class ModelRow:
    """``work``: of a period. ``id``: the provider's name for it."""

    name: str
    id: str
    accounts: tuple[str, ...]
    waiting: int
    running: int
    work: Work


async def figures(asked: Asked) -> Figures:
    store, period = asked.lw.store, period_of(asked.query)
    waiting, running = Counter[str](), Counter[str]()
    for depth in await store.depths(team=asked.team):
        waiting[depth.model] += depth.counts.get(State.READY, 0)
        running[depth.model] += depth.counts.get(State.RUNNING, 0)
    works = {one.name: work_of(one) for one in await period.tallies(store, TallyKind.MODEL, asked.now, asked.team)}
    accounts, configured = asked.lw.catalog.accounts_of_models(), asked.lw.config.models
    rows = [
        ModelRow(
            name,
            configured[name].id if name in configured else "",
            accounts.get(name, ()),
            waiting[name],
            running[name],
            works.get(name, NO_WORK),
        )
        for name in {*configured, *works, *waiting}
        if name and needs_account(name)
    ]
    rows.sort(key=lambda row: (-row.work.calls, -row.waiting, row.name))
    return {"models": rows[:MOST], "hidden": max(0, len(rows) - MOST), "period": period, "periods": PERIODS}


MODELS = Page("/models", "Models", "models.html", figures)
