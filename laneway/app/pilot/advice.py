"""What a pilot's pairs of answers say: quality kept, saving, both with intervals, and the advice. Pure.

Intervals are 95 %. A share of answers that are as good: Wilson (1927). A difference of paired qualities: the adjusted
Wald interval of Agresti and Min (2005), which adds half a task to each of the four ways in which two may agree or not,
with scores between 0 and 1 in place of right and wrong. A saving is a ratio of sums: the delta method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

Z = 1.96
SELDOM = 0.2  # as good on fewer tasks than this: there is little that a router could send to the cheap model
WORTH = 0.05  # of the cost: who saves less needs no second model
MOST_MORE = 2_000  # tasks that are still called a pilot


class Pair(NamedTuple):
    """One task on both models. Qualities 0 to 1, costs in USD."""

    key: str
    type: str
    cheap: float
    strong: float
    cheap_cost: float | None
    strong_cost: float | None
    alike: bool  # the two answers say the same


class Share(NamedTuple):
    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in self._asdict().items()}


class Advice(StrEnum):
    CHEAP = "cheap"  # use it for everything
    LEARNED = "learned"  # some tasks could go to it: which ones can perhaps be learnt
    STRONG = "strong"  # keep it
    MORE = "more"  # too little data


class Figures(NamedTuple):
    tasks: int
    kept: Share | None  # the cheap model's quality of the strong one's; None: the strong one has none
    saved: Share | None  # of the strong model's cost, with the cheap one for everything; None: a price is unknown
    alike: float
    as_good: float  # tasks on which the cheap model is at least as good

    def as_json(self) -> dict[str, Any]:
        return {
            "tasks": self.tasks,
            "quality_kept": self.kept and self.kept.as_json(),
            "saved": self.saved and self.saved.as_json(),
            "agree": round(self.alike, 4),
            "as_good": round(self.as_good, 4),
        }


def figures(pairs: Sequence[Pair]) -> Figures:
    """Of at least one pair."""
    n = len(pairs)
    return Figures(
        n,
        _kept(pairs),
        _saved(pairs),
        sum(pair.alike for pair in pairs) / n,
        sum(pair.cheap >= pair.strong for pair in pairs) / n,
    )


def _kept(pairs: Sequence[Pair]) -> Share | None:
    n = len(pairs)
    strong = sum(pair.strong for pair in pairs) / n
    if strong <= 0:
        return None
    if all(pair.strong == 1.0 and pair.cheap in (0.0, 1.0) for pair in pairs):
        return wilson(round(sum(pair.cheap for pair in pairs)), n)
    losses = [pair.strong - pair.cheap for pair in pairs]
    mean = sum(losses) / (n + 2)
    spread = (sum(loss * loss for loss in losses) + 1) / (n + 2) - mean * mean
    reach = Z * math.sqrt(spread / (n + 2))
    value = 1 - sum(losses) / n / strong
    return Share(value, max(0.0, min(value, 1 - (mean + reach) / strong)), max(value, 1 - (mean - reach) / strong))


def wilson(successes: int, n: int) -> Share:
    share, square = successes / n, Z * Z / n
    middle = (share + square / 2) / (1 + square)
    reach = Z / (1 + square) * math.sqrt(share * (1 - share) / n + square / 4 / n)
    return Share(share, max(0.0, middle - reach) if successes else 0.0, middle + reach if successes < n else 1.0)


def _saved(pairs: Sequence[Pair]) -> Share | None:
    costs = [(pair.cheap_cost, pair.strong_cost) for pair in pairs]
    known = [(cheap, strong) for cheap, strong in costs if cheap is not None and strong is not None]
    total = sum(strong for _, strong in known)
    if len(known) < len(pairs) or total <= 0:
        return None
    n = len(known)
    ratio = sum(cheap for cheap, _ in known) / total
    spread = sum((cheap - ratio * strong) ** 2 for cheap, strong in known) / max(1, n - 1)
    reach = Z * math.sqrt(spread / n) / (total / n)
    return Share(1 - ratio, 1 - ratio - reach, min(1.0, 1 - ratio + reach))


def advise(found: Figures, floor: float) -> Advice:
    """What is sure at this ``floor`` (of the strong model's quality)."""
    if found.saved is not None and found.saved.value < WORTH:
        return Advice.STRONG
    if found.kept is None:
        return Advice.MORE
    if found.kept.low >= floor:
        return Advice.CHEAP
    if found.kept.high < floor:
        return Advice.LEARNED if found.as_good >= SELDOM else Advice.STRONG
    return Advice.MORE


def more(found: Figures, floor: float) -> int | None:
    """So many further tasks would settle it, if they are like these; None: more than a pilot has."""
    if found.kept is None:
        return found.tasks
    share = min(1.0, max(0.0, found.kept.value))
    for n in range(found.tasks + 10, MOST_MORE + 1, 10):
        good = round(share * n)
        range_ = wilson(good, n)
        if range_.low >= floor or range_.high < floor:
            return n - found.tasks
    return None
