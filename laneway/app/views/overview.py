"""How everything stands, on one page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laneway.app.standing import standings
from laneway.app.views.figures import (
    NO_WORK,
    Counts,
    Point,
    Shown,
    Work,
    counted,
    no_series,
    per_minute,
    series,
    works,
)
from laneway.app.views.workers import facts
from laneway.store.budgets import BudgetKind, day_of
from laneway.store.tallies import HOUR_S, TallyKind
from laneway.store.teams import ALL, Everyone, OfTeam

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.interface import Store


@dataclass(frozen=True, slots=True)
class Use(Shown):
    """How much of a limit is in use, 0 to 1, where it is most."""

    account: str
    limit: str
    share: float


@dataclass(frozen=True, slots=True)
class Binding(Shown):
    """What holds work back, on how many workers."""

    by: str
    workers: int


@dataclass(frozen=True, slots=True)
class Overview(Shown):
    """``counts``: tasks by state. ``per_minute``: that ended, over ten minutes. ``hour``: the last one; ``minutes`` and
    ``hours``: the same one by one, and the last day. ``cost_today_usd``: of the UTC day."""

    at: float
    counts: Counts
    per_minute: float
    oldest_s: float | None  # how long the task has waited that has waited longest
    cost_today_usd: float
    budgets: list[dict[str, Any]]
    hour: Work
    minutes: list[Point]
    hours: list[Point]
    workers: int
    draining: int
    use: list[Use]
    binds: list[Binding]
    paused: list[dict[str, Any]]

    @property
    def waiting(self) -> int:
        """That have not begun, or wait for another try."""
        return self.counts["triaging"] + self.counts["ready"] + self.counts["waiting"]


async def overview(lw: Laneway, team: OfTeam = ALL) -> Overview:
    """Of a team: its tasks; what is shared is shown to all."""
    store, now = lw.store, lw.clock.now()
    living = {one.id for one in await store.workers(now) if one.lease_until > now}
    said = {worker: own for worker, own in (await facts(store)).items() if worker in living}
    minutes = (await series(store, TallyKind.ALL, now, team)).get("") or no_series(now)
    oldest = await store.oldest_ready(team=team)
    everyone = isinstance(team, Everyone)
    return Overview(
        at=now,
        counts=counted(one.counts for one in await store.depths(team=team)),
        per_minute=per_minute(minutes, now),
        oldest_s=round(max(0.0, now - min(oldest.values())), 1) if oldest else None,
        cost_today_usd=await _cost_today(store, now, team),
        budgets=[one.as_json() for one in await standings(lw.config, store, now)] if everyone else [],
        hour=(await works(store, TallyKind.ALL, now, team)).get("", NO_WORK),
        minutes=minutes,
        hours=(await series(store, TallyKind.ALL, now, team, span=HOUR_S)).get("") or no_series(now, HOUR_S),
        workers=len(living),
        draining=sum(bool(own.get("draining")) for own in said.values()),
        use=_use(said.values()),
        binds=[
            Binding(by, n) for by, n in Counter(own["binds"] for own in said.values() if own.get("binds")).most_common()
        ],
        paused=[
            {"kind": pause.kind.value, "name": pause.name, "since": pause.since}
            for pause in await store.pauses()
            if pause.since is not None
        ],
    )


def _use(said: Any) -> list[Use]:
    """The most used limits first."""
    most: dict[tuple[str, str], float] = {}
    for own in said:
        for account, its in (own.get("accounts") or {}).items():
            for limit, share in (its.get("use") or {}).items():
                most[account, limit] = max(share, most.get((account, limit), 0.0))
    return [Use(*place, round(share, 4)) for place, share in sorted(most.items(), key=lambda one: -one[1])]


async def _cost_today(store: Store, now: float, team: OfTeam) -> float:
    if isinstance(team, Everyone):
        books = await store.spending(now)
        return round(sum(one.spent for budget, one in books.items() if budget.kind is BudgetKind.ACCOUNT), 8)
    midnight = day_of(now) * 86_400
    today = await store.tallies(TallyKind.ALL, midnight, now + 1, span=HOUR_S, team=team, whole=True, times=False)
    return round(sum(one.cost for one in today), 8)
