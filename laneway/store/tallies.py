"""Figures by time: what ended, what was called, how long it took. Workers count in memory and add to them now and then;
they are for looking at, and nothing is decided by them. A kill loses what was counted last."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from math import log
from typing import Any, NamedTuple, Protocol

from laneway.store.teams import ALL, OfTeam

MINUTE_S, HOUR_S = 60, 3600
SPANS = (MINUTE_S, HOUR_S)
KEPT_S: Mapping[tuple[str, int], float] = {  # by table and span; histograms have many rows, and are kept by hours only
    ("tally", MINUTE_S): 26 * 3600.0,
    ("tally", HOUR_S): 400 * 86_400.0,
    ("tally_time", HOUR_S): 8 * 86_400.0,
}
LEAST_S = 0.001  # of a histogram's first bucket
STEP = 1.2  # from a bucket to the next: a quantile is off by less than a tenth
_BY_STEP = 1 / log(STEP)
_FROM = 0.5 - log(LEAST_S) * _BY_STEP  # rounded


class TallyKind(StrEnum):
    ALL = "all"
    LANE = "lane"
    TYPE = "type"
    MODEL = "model"
    ACCOUNT = "account"


Histogram = Mapping[int, int]  # how often, by bucket


class Tally(NamedTuple):
    """What was counted in one span of time of one lane, type, model or account (``name``; ``all`` has none)."""

    at: int  # when the span begins, seconds since 1970
    team: str | None
    kind: TallyKind
    name: str
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    calls: int = 0
    retries: int = 0  # of the calls, those of tasks that had made one
    rate_limited: int = 0  # calls that were refused for a limit
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0  # USD, as far as prices are known
    wait: Mapping[int, int] = {}  # from submission to the first call
    run: Mapping[int, int] = {}  # from there to the end

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed + self.cancelled

    def plus(self, other: Tally) -> Tally:
        """Of the same thing, at the time of this one."""
        return self._replace(
            succeeded=self.succeeded + other.succeeded,
            failed=self.failed + other.failed,
            cancelled=self.cancelled + other.cancelled,
            calls=self.calls + other.calls,
            retries=self.retries + other.retries,
            rate_limited=self.rate_limited + other.rate_limited,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=self.cost + other.cost,
            wait=added((self.wait, other.wait)),
            run=added((self.run, other.run)),
        )


def bucket(seconds: float) -> int:
    """Of a histogram."""
    return int(log(seconds) * _BY_STEP + _FROM) if seconds > LEAST_S else 0


def quantile(histogram: Histogram, share: float) -> float | None:
    """In seconds, None when nothing was counted: the middle of the bucket in which it lies."""
    rank = share * sum(histogram.values())
    seen = 0
    for number, n in sorted(histogram.items()):
        seen += n
        if seen >= rank and n:
            return float(LEAST_S * STEP**number)
    return None


def added(histograms: Iterable[Histogram]) -> Histogram:
    sums = Counter[int]()
    for histogram in histograms:
        sums.update(histogram)
    return sums


def rows_of(tallies: Iterable[Tally]) -> list[tuple[Any, ...]]:
    """(span, at, team, kind, name, and the sums) of the minutes and hours that they are added to, in order."""
    return [
        (*place, *(sum(column) for column in zip(*(one[4:13] for one in found), strict=True)))
        for place, found in _by_place(tallies, SPANS)
    ]


def times_of(tallies: Iterable[Tally]) -> list[tuple[Any, ...]]:
    """(span, at, team, kind, name, what, bucket, n), likewise."""
    return [
        (*place, what, number, n)
        for place, found in _by_place(tallies, (HOUR_S,))
        for what, histograms in (("run", [one.run for one in found]), ("wait", [one.wait for one in found]))
        for number, n in sorted(added(histograms).items())
    ]


def _by_place(tallies: Iterable[Tally], spans: Sequence[int]) -> list[tuple[tuple[Any, ...], list[Tally]]]:
    found = defaultdict[tuple[Any, ...], list[Tally]](list)
    for one in tallies:
        for span in spans:
            found[span, one.at // span * span, one.team or "", one.kind.value, one.name].append(one)
    return sorted(found.items())


def tallies_of(
    rows: Iterable[Sequence[Any]], times: Iterable[Sequence[Any]], kind: TallyKind, team: str | None
) -> list[Tally]:
    """``rows``: (at, name, and the sums), in order. ``times``: (at, name, what, bucket, n)."""
    histograms = defaultdict[tuple[int, str, str], dict[int, int]](dict)
    for at, name, what, number, n in times:
        histograms[at, name, what][number] = n
    return [
        Tally(at, team, kind, name, *sums)._replace(wait=histograms[at, name, "wait"], run=histograms[at, name, "run"])
        for at, name, *sums in rows
    ]


class Tallying(Protocol):
    """This part of the store."""

    async def add_tallies(self, tallies: Sequence[Tally], now: float) -> None:
        """To the minutes and hours in which they lie. What is older than is kept goes."""
        ...

    async def tallies(
        self,
        kind: TallyKind,
        since: float,
        until: float,
        *,
        span: int = MINUTE_S,
        team: OfTeam = ALL,
        whole: bool = False,
        times: bool = True,
    ) -> list[Tally]:
        """Of the minutes or hours that begin from ``since`` on and before ``until``, by time and name. ``team`` ALL:
        of all teams together. ``whole``: one tally for each name, of all that time. ``times`` False: without
        histograms, which only hours have, for eight days."""
        ...
