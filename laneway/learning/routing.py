"""Figures of a router: what it saves and keeps, as its field measures it.

PGR, APGR and CPT as RouteLLM's ``evaluate.py`` has them (Ong et al. 2024, arXiv:2406.18665), AIQ as RouterBench defines
it (Hu et al. 2024, arXiv:2403.12031). ``weights``: how often each task counts, for resampling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.errors import InputError

RESAMPLES = 400
BETTER = 0.1  # of a quality: what is less is not called better when tasks are counted

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class Recovered(NamedTuple):
    """Of a pair of models. ``apgr``: mean part of the gap recovered over all shares of strong calls; ``cpt50`` and
    ``cpt80``: the smallest share of strong calls that recovers 50 and 80 % of it. NaN where there is no gap."""

    apgr: float
    cpt50: float
    cpt80: float


class Ranked:
    """Tasks in the order in which they would be sent to the strong model. Equal scores go in random order: what is
    counted is what is to be expected of that."""

    def __init__(self, score: Floats, gain: Floats) -> None:
        order = np.argsort(-score, kind="stable")
        self._order, self._gain = order, gain[order]
        ordered = score[order]
        self._group = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])]) if len(order) else np.zeros(0, int)

    def recovered(self, weights: Floats | None = None) -> Recovered:
        weight = np.ones(len(self._gain)) if weights is None else weights[self._order]
        in_group, gained = np.bincount(self._group, weight), np.bincount(self._group, weight * self._gain)
        share, gap = np.concatenate([[0.0], np.cumsum(in_group)]), np.concatenate([[0.0], np.cumsum(gained)])
        if len(share) < 2 or gap[-1] <= 1e-12:
            return Recovered(np.nan, np.nan, np.nan)
        share, part = share / share[-1], gap / gap[-1]
        return Recovered(_area(share, part), _reached(share, part, 0.5), _reached(share, part, 0.8))


def _area(x: Floats, y: Floats) -> float:
    return float(((y[1:] + y[:-1]) / 2.0 * np.diff(x)).sum())


def _reached(share: Floats, part: Floats, level: float) -> float:
    at = int(np.argmax(part >= level))
    before, after = part[at - 1], part[at]
    return float(share[at - 1] + (share[at] - share[at - 1]) * (level - before) / (after - before))


def mixed(costs: Floats, qualities: Floats, at: Floats) -> Floats:
    """The best quality for money without looking at a task: models drawn at random in the best proportion
    (RouterBench's zero router). ``at``: costs."""
    x, y = _hull(costs, qualities)
    return np.interp(at, x, y)


def mixed_cost(costs: Floats, qualities: Floats, at: float) -> float:
    """What that quality costs without looking at a task; the dearest of the hull where it cannot be had."""
    x, y = _hull(costs, qualities)
    return float(np.interp(at, y, x))


def aiq(costs: Floats, qualities: Floats, least: float, most: float) -> float:
    """Average quality over the costs from ``least`` to ``most``, on the non-decreasing hull of a router's points."""
    if most <= least:
        return float(qualities.max())
    x, y = _hull(costs, qualities)
    grid = np.unique(np.concatenate([[least, most], x[(x > least) & (x < most)]]))
    return _area(grid, np.interp(grid, x, y)) / (most - least)


def _hull(costs: Floats, qualities: Floats) -> tuple[Floats, Floats]:
    """Upper hull, cost and quality both rising."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(zip(costs.tolist(), qualities.tolist(), strict=True), key=lambda point: (point[0], -point[1])):
        if kept and y <= kept[-1][1]:
            continue
        while len(kept) >= 2 and _below(kept[-2], kept[-1], (x, y)):
            kept.pop()
        kept.append((x, y))
    return np.array([x for x, _ in kept]), np.array([y for _, y in kept])


def _below(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    return (middle[1] - first[1]) * (last[0] - first[0]) <= (last[1] - first[1]) * (middle[0] - first[0])


class Triaged(NamedTuple):
    """``under``: of the tasks that only the strongest model does well, the part sent to one that does not. ``over``: of
    those that the cheapest does as well, the part sent to a dearer one. NaN where there are no such tasks."""

    under: float
    over: float


def triaged(quality: Floats, costs: Floats, strongest: int, choice: Whole) -> Triaged:
    cheapest = int(np.argmin(costs))
    had = quality[np.arange(len(choice)), choice]
    needed = quality[:, strongest] - quality[:, cheapest] > BETTER
    under = quality[needed, strongest] - had[needed] > BETTER
    over = costs[choice[~needed]] > costs[cheapest]
    return Triaged(float(under.mean()) if len(under) else np.nan, float(over.mean()) if len(over) else np.nan)


def resampled(rows: int, figures: Callable[[Floats], Floats], chance: np.random.Generator) -> Floats:
    """(resamples, figures): the figures of tables that chance could as well have brought (Poisson bootstrap)."""
    if rows < 2:
        raise InputError("too few rows to say how sure a figure is", hint="give at least a hundred")
    return np.array([figures(chance.poisson(1.0, rows).astype(float)) for _ in range(RESAMPLES)])
