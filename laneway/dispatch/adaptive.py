"""Finding a concurrency that nobody has stated.

After inspect_ai's published design (ANCHORS): double after a clean round, from the first cut on grow by 5 %; cut on a
refusal; grow only while at least 80 % of the limit is in use; server errors never cut. Ours cools down for about one
median latency instead of 15 s, remembers the ceiling it was cut at, and cuts by a tenth once it has converged.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

MINIMUM, START, MAXIMUM = 1, 20, 1000
HISTORY = 50


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the limit, and why."""

    at: float
    limit: int
    reason: str


class Adaptive:
    def __init__(self, now: float, *, start: int = START, maximum: int = MAXIMUM) -> None:
        self.limit = min(start, maximum)
        self._maximum = maximum
        self._exact = float(self.limit)
        self._clean = 0  # successes since the last change
        self._ceiling: float | None = None  # where it was last cut
        self._cuts = 0
        self._cool_until = now
        self._latency = 1.0
        self.history: deque[Change] = deque([Change(now, self.limit, "start")], maxlen=HISTORY)

    def succeeded(self, in_flight: int, latency: float, now: float) -> None:
        """A first-try success; ``in_flight`` counts it. Successes after a retry say nothing and are not reported."""
        self._latency += 0.1 * (latency - self._latency)
        if in_flight < 0.8 * self.limit:
            return
        self._clean += 1
        if self._clean < self.limit or self.limit >= self._maximum:
            return
        if self._ceiling is None:
            self._set(self._exact * 2, now, "a clean round")
        elif self._exact < 0.95 * self._ceiling:
            self._set(max(self._exact + 1, self._exact * 1.1), now, "a clean round below the last refusal")
        else:
            self._set(max(self._exact + 1, self._exact * 1.05), now, "a clean round")

    def refused(self, in_flight: int, now: float) -> None:
        """A true 429. One cut a cooldown: the calls in flight belong to the same round."""
        if now < self._cool_until:
            return
        self._cuts += 1
        self._ceiling = float(min(self.limit, max(in_flight, 1)))
        self._set(min(self._exact, self._ceiling) * (0.9 if self._cuts > 3 else 0.8), now, "refused (429)")
        self._cool_until = now + max(0.1, self._latency)

    def _set(self, value: float, now: float, reason: str) -> None:
        self._exact = min(float(self._maximum), max(float(MINIMUM), value))
        self._clean = 0
        if (limit := max(MINIMUM, math.floor(self._exact))) != self.limit:
            self.limit = limit
            self.history.append(Change(now, limit, reason))
