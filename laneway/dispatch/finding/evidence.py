"""Which rates explain what was accepted and what was refused.

A provider's rate limit is taken for a bucket that refills evenly and holds some seconds of its rate. Each size of
bucket that is thought possible leaves a range of rates: below it an accepted call would have found the bucket empty,
above it a refused one would have found a request in it. So two or three refusals tell the rate, where trying would
take many.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

EDGES_S = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
SIZES = tuple(pairwise(EDGES_S))  # seconds of its rate that a bucket may hold: from, to
KEPT = 200  # entries; when there are more, the older ones are put together by twos
SLACKS = (0.05, 0.3, 1.0)  # requests by which the model may be off: sizes between those above, other traffic
JITTER_S = 0.003  # on the way
SLOWEST = 0.005  # a second
STEPS = 13  # of each bisection


@dataclass(slots=True, eq=False)
class Start:
    """A call that was sent, and whether it was let in; or ``count`` of them, evenly spaced from ``begun`` to ``at``."""

    begun: float
    at: float
    refused: bool = False
    count: int = 1
    open: bool = False  # whether it was let in is not known yet


@dataclass(frozen=True, slots=True)
class Range:
    """Rates that are possible, a second, if the bucket is of this size."""

    size: tuple[float, float]
    low: float
    high: float
    slack: float = 0.0  # requests by which the model is off


class Evidence:
    """Starts in the order of time, since a moment at which something was known of the bucket."""

    def __init__(self, *, full: bool = False) -> None:
        """``full``: the bucket was full before the first start, because nobody had used it."""
        self._starts: deque[Start] = deque()
        self._full = full
        self._sizes: Sequence[tuple[float, float]] = SIZES

    def add(self, at: float, *, open: bool = False) -> Start:
        start = Start(at, at, open=open)
        self._starts.append(start)
        if len(self._starts) > KEPT:
            self._condense()
        return start

    def drop(self, start: Start) -> None:
        """This start says nothing: it was not made, or another limit refused it."""
        if start in self._starts:
            self._starts.remove(start)

    def begin_at(self, start: Start) -> None:
        """The limit was changed: what came before this refusal says nothing any more, but for the bucket's size."""
        while self._starts and self._starts[0] is not start:
            self._starts.popleft()
        self._full = False

    def begin_anew(self) -> None:
        """Nothing that came before says anything, but for the bucket's size."""
        self._starts.clear()
        self._full = False

    def believe(self, ranges: list[Range]) -> None:
        """From now on the bucket is of one of these sizes."""
        self._sizes = [one.size for one in ranges]

    @property
    def sizes(self) -> Sequence[tuple[float, float]]:
        """Of the bucket, as far as it is known."""
        return self._sizes

    def ranges(self, most: float, *, firm: bool = False) -> list[Range]:
        """The rates up to ``most`` that explain everything, for each size of bucket that can. Empty: none does.
        ``firm``: no other size than those that explained what was before."""
        starts = list(self._starts)
        refused = [at for at, start in enumerate(starts) if start.refused]
        if not refused:
            return []
        beginnings = [0, *(at for at in refused[-4:-1] if at > 0)]
        for slack in SLACKS:
            for at in beginnings:  # the first refusals may have been something else's, or the bucket was not full
                if found := self._explain(starts[at:], slack, most, full=self._full and at == 0, firm=firm):
                    if at > 0:
                        self.begin_at(starts[at])
                    return found
        return []

    def _explain(self, starts: list[Start], slack: float, most: float, *, full: bool, firm: bool) -> list[Range]:
        for sizes in [self._sizes] if firm else dict.fromkeys((tuple(self._sizes), SIZES)):
            if found := [one for size in sizes if (one := _range(starts, size, slack, most, full=full))]:
                return found
        return []

    def standing(self, ranges: list[Range]) -> list[Range]:
        """What is left of them by all that was let in since they were found."""
        starts = list(self._starts)
        left: list[Range] = []
        for one in ranges:
            low, least = _turn(partial(_lets_in, starts, one.size[1], one.slack), one.low, one.high)
            if least <= one.high:
                left.append(replace(one, low=low))
        return left

    def _condense(self) -> None:
        """Put the older half together by twos. What is very old is forgotten."""
        old = [self._starts.popleft() for _ in range(KEPT // 2)]
        kept: list[Start] = []
        for start in old:
            last = kept[-1] if kept else None
            if last and not last.refused and not start.refused and last.count + start.count <= 2 * start.count:
                kept[-1] = Start(last.begun, start.at, count=last.count + start.count)
            else:
                kept.append(start)
        if len(kept) > KEPT // 2 - 10:
            kept, self._full = kept[10:], False
        self._starts.extendleft(reversed(kept))


def together(ranges: list[Range]) -> list[tuple[float, float]]:
    """(low, high) of those that overlap or nearly so, the lowest first."""
    joined: list[tuple[float, float]] = []
    for one in sorted(ranges, key=lambda one: one.low):
        if joined and one.low <= joined[-1][1] * 1.03:
            joined[-1] = joined[-1][0], max(joined[-1][1], one.high)
        else:
            joined.append((one.low, one.high))
    return joined


def _range(starts: list[Start], size: tuple[float, float], slack: float, most: float, *, full: bool) -> Range | None:
    if size[0] > 0 and size[1] * most <= 1.0:
        return None  # no bucket holds less than one request: the same as the smallest size
    low, least = _turn(partial(_lets_in, starts, size[1], slack), SLOWEST, most)
    if least > most or not _refuses(starts, size[0], slack, low, full=full):
        return None
    _, high = _turn(lambda rate: not _refuses(starts, size[0], slack, rate, full=full), low, most)
    return Range(size, low, min(high, most), slack)


def _turn(holds: Callable[[float], bool], low: float, high: float) -> tuple[float, float]:
    """Two rates close together: at the first, it does not hold yet (or it is ``low``), from the second on it does."""
    if holds(low):
        return low, low
    if not holds(high):
        return high, math.inf
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if holds(middle) else (middle, high)
    return low, high


def _lets_in(starts: list[Start], burst: float, slack: float, rate: float) -> bool:
    """Whether a bucket that is as full as it can be would have let in all that was accepted."""
    capacity = max(1.0, rate * burst)
    level, before = capacity, starts[0].begun
    least = 1.0 - slack - JITTER_S * rate
    for start in starts:
        if start.open:  # as if it had not been let in; below, as if it had
            continue
        level = min(capacity, level + rate * (start.begun - before))
        before = start.at
        if start.refused:
            level = min(level, 1.0)
            continue
        if level < least:
            return False
        level -= 1.0
        if start.count > 1:
            more = rate * (start.at - start.begun) - (start.count - 1)
            level = min(capacity - 1.0, level + more)
            if level < least - 1.0:
                return False
    return True


def _refuses(starts: list[Start], burst: float, slack: float, rate: float, *, full: bool) -> bool:
    """Whether a bucket that is as empty as it can be would have refused all that was refused."""
    capacity = max(1.0, rate * burst)
    level, before = capacity if full else 0.0, starts[0].begun
    doubt = JITTER_S * rate
    for start in starts:
        level += rate * (start.at - before)
        before = start.at
        if not start.refused:
            level = max(0.0, min(capacity, level) - start.count)
        elif level - doubt > 1.0 + slack or level - doubt >= capacity:  # a full one refuses nobody
            return False
        else:
            level = min(level, 1.0)
    return True
