"""What ended and what was called in some time, as it is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laneway.store.tallies import HOUR_S, MINUTE_S, Histogram, Tally, TallyKind, quantile
from laneway.task import State

if TYPE_CHECKING:
    from laneway.store.interface import Store
    from laneway.store.teams import OfTeam

MINUTES = 60  # of the newest that are shown one by one
HOURS = 24
RATE_S = 600.0  # over which a lane's speed is taken
Counts = Mapping[str, int]  # tasks by state


@dataclass(frozen=True, slots=True)
class Shown:
    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Times(Shown):
    """Quantiles in seconds, off by less than a tenth; None while nothing was counted."""

    tasks: int = 0
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None


@dataclass(frozen=True, slots=True)
class Work(Shown):
    """``wait``: from submission to a task's first call. ``run``: from there to its end. USD as far as prices are
    known."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    calls: int = 0
    retries: int = 0
    rate_limited: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    failure_rate: float | None = None  # of what ended, without what was called off
    cost_per_task_usd: float | None = None
    wait: Times = Times()
    run: Times = Times()


@dataclass(frozen=True, slots=True)
class Point(Shown):
    """One minute or hour, from ``at`` on."""

    at: int
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    calls: int = 0
    rate_limited: int = 0
    cost_usd: float = 0.0


NO_WORK = Work()


def times_of(histogram: Histogram) -> Times:
    quantiles = (quantile(histogram, share) for share in (0.5, 0.95, 0.99))
    return Times(sum(histogram.values()), *(None if one is None else round(one, 4) for one in quantiles))


def work_of(one: Tally) -> Work:
    finished = one.succeeded + one.failed
    return Work(
        one.succeeded,
        one.failed,
        one.cancelled,
        one.calls,
        one.retries,
        one.rate_limited,
        one.input_tokens,
        one.output_tokens,
        round(one.cost, 8),
        round(one.failed / finished, 4) if finished else None,
        round(one.cost / one.ended, 8) if one.ended else None,
        times_of(one.wait),
        times_of(one.run),
    )


async def works(store: Store, kind: TallyKind, now: float, team: OfTeam) -> dict[str, Work]:
    """Of the last hour, by name. The times are those of this hour and the one before, which are kept by hours."""
    this = int(now) // HOUR_S * HOUR_S
    times = {
        one.name: one for one in await store.tallies(kind, this - HOUR_S, now + 1, span=HOUR_S, team=team, whole=True)
    }
    since = int(now) // MINUTE_S * MINUTE_S - HOUR_S + MINUTE_S
    return {
        one.name: work_of(one._replace(wait=times[one.name].wait, run=times[one.name].run))
        for one in await store.tallies(kind, since, now + 1, team=team, whole=True)
        if one.name in times
    }


async def day(store: Store, kind: TallyKind, now: float, team: OfTeam) -> dict[str, Tally]:
    """Of the last 24 hours, this one included, by name."""
    since = int(now) // HOUR_S * HOUR_S - (HOURS - 1) * HOUR_S
    found = await store.tallies(kind, since, now + 1, span=HOUR_S, team=team, whole=True, times=False)
    return {one.name: one for one in found}


async def series(
    store: Store, kind: TallyKind, now: float, team: OfTeam, *, span: int = MINUTE_S
) -> dict[str, list[Point]]:
    """The last hour by minutes, or the last day by hours, by name; none is left out."""
    last, n = int(now) // span * span, MINUTES if span == MINUTE_S else HOURS
    steps = [last - span * back for back in range(n - 1, -1, -1)]
    known: dict[str, dict[int, Point]] = {}
    for one in await store.tallies(kind, steps[0], now + 1, span=span, team=team, times=False):
        point = Point(one.at, one.succeeded, one.failed, one.cancelled, one.calls, one.rate_limited, round(one.cost, 8))
        known.setdefault(one.name, {})[one.at] = point
    nothing = [Point(at) for at in steps]
    return {name: [found.get(none.at, none) for none in nothing] for name, found in known.items()}


def no_series(now: float, span: int = MINUTE_S) -> list[Point]:
    last, n = int(now) // span * span, MINUTES if span == MINUTE_S else HOURS
    return [Point(last - span * back) for back in range(n - 1, -1, -1)]


def counted(all_counts: Iterable[Mapping[State, int]]) -> dict[str, int]:
    """Their sums, by every state."""
    sums = dict.fromkeys((state.value for state in State), 0)
    for counts in all_counts:
        for state, n in counts.items():
            sums[state.value] += n
    return sums


def per_minute(points: Iterable[Point], now: float, seconds: float = RATE_S) -> float:
    """Tasks that ended a minute, in the last time."""
    since = now - seconds
    ended = sum(one.succeeded + one.failed + one.cancelled for one in points if one.at + MINUTE_S > since)
    return round(ended / (seconds / 60), 3)
