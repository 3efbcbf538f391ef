"""Lanes: how deep they are, how long their oldest task has waited, when they will be empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from laneway.store.live_limits import STATE, live_limits
from laneway.store.steering import PauseKind
from laneway.store.tallies import TallyKind
from laneway.store.teams import ALL, OfTeam
from laneway.store.views import Depth

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


@dataclass(frozen=True, slots=True)
class Lane(Shown):
    """``eta_s``: until what is ready, runs and waits has ended at the speed of the last ten minutes; None: nothing
    ended in them. ``concurrency``: None, unbounded; it and ``weight`` as they hold now. ``live``: what somebody set of
    them while work goes on, by whom and when."""

    name: str
    counts: Counts
    by_urgency: dict[str, int]  # tasks that are ready
    oldest_s: float | None
    per_minute: float
    eta_s: float | None
    concurrency: int | None
    weight: float
    paused_since: float | None
    live: dict[str, Any] | None
    hour: Work
    minutes: list[Point]

    @property
    def depth(self) -> int:
        return self.counts["ready"]

    @property
    def left(self) -> int:
        return sum(self.counts[state] for state in ("triaging", "ready", "running", "waiting"))


async def lanes(lw: Laneway, team: OfTeam = ALL) -> list[Lane]:
    """By name: those of the config, and those that have tasks."""
    store, now, config = lw.store, lw.clock.now(), lw.config
    depths, oldest = await store.depths(team=team), await store.oldest_ready(team=team)
    hour, minutes = await works(store, TallyKind.LANE, now, team), await series(store, TallyKind.LANE, now, team)
    paused = {one.name: one.since for one in await store.pauses() if one.kind is PauseKind.LANE}
    live = {one.name: one for one in live_limits(await store.states(STATE)) if one.kind is PauseKind.LANE}
    by_lane: dict[str, list[Depth]] = {}
    for depth in depths:
        by_lane.setdefault(depth.lane, []).append(depth)
    names = {*config.lanes, config.defaults.lane, *live, *by_lane} - {""}
    nothing = no_series(now)
    found = []
    for name in sorted(names):
        own, points = by_lane.get(name, []), minutes.get(name) or nothing
        counts, speed, settings = counted(one.counts for one in own), per_minute(points, now), config.lane(name)
        set_ = live.get(name)
        left = sum(counts[state] for state in ("triaging", "ready", "running", "waiting"))
        found.append(
            Lane(
                name=name,
                counts=counts,
                by_urgency={
                    urgency.label: n
                    for urgency in sorted({one.urgency for one in own})
                    if (n := counted(one.counts for one in own if one.urgency is urgency)["ready"])
                },
                oldest_s=round(max(0.0, now - oldest[name]), 1) if name in oldest else None,
                per_minute=speed,
                eta_s=round(left / speed * 60, 1) if speed else 0.0 if not left else None,
                concurrency=settings.concurrency if set_ is None or set_.concurrency is None else set_.concurrency,
                weight=settings.weight if set_ is None or set_.weight is None else set_.weight,
                paused_since=paused.get(name),
                live=set_.as_json() if set_ else None,
                hour=hour.get(name, NO_WORK),
                minutes=points,
            )
        )
    return found
