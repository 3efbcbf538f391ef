"""The report of a choice among models: figures with intervals, what it is compared with, and the advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.learning import routing
from laneway.learning.judging import LEVELS, Tested
from laneway.learning.outcomes import Outcomes

SURE = 3.0  # standard errors by which looking at a task has to give more than chance
SURE_ENOUGH = 0.95  # that a router saves, one-sided
ONE_ERROR = 0.84  # that a single model keeps the floor, one-sided: the margin that floors have, too
INTERVAL = 0.95
WORTH = 0.01  # of the cost: who saves less needs no router

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class Verdict(StrEnum):
    ROUTE = "route"
    ONE_MODEL = "one_model"
    NOT_ROUTABLE = "not_routable"


class Range(NamedTuple):
    low: float
    high: float


class Kept(NamedTuple):
    """Of the strongest's, and of what it costs."""

    saved: float
    quality_kept: float


@dataclass(frozen=True, slots=True)
class Report:
    """All figures are of ``tested`` tasks that the predicting models had not seen."""

    table: Outcomes
    floor: float
    learnt_from: int
    tested: int
    strongest: str
    cheapest: str
    verdict: Verdict
    use: str | None  # the model for everything; None where tasks are routed
    loss: float  # of the strongest's quality, by following the advice
    why: str
    recovered: routing.Recovered
    aiq: float
    levels: Mapping[float, Kept]
    at_floor: Kept
    triaged: routing.Triaged
    share: Mapping[str, float]
    lift: float  # quality above that of models drawn at random for the same money, over the whole curve
    intervals: Mapping[str, Range]
    baselines: Mapping[str, Mapping[str, float | str | None]]

    @property
    def routable(self) -> bool:
        return self.verdict is Verdict.ROUTE

    def as_json(self) -> dict[str, Any]:
        means, costs = self.table.means, self.table.costs
        return {
            "learnt_from": self.learnt_from,
            "tested": self.tested,
            "quality_floor": self.floor,
            "models": [
                {"name": name, "quality": _rounded(means[at]), "cost": float(f"{costs[at]:.6g}")}
                for at, name in enumerate(self.table.models)
            ],
            "cost_unit": self.table.unit,
            "strongest": self.strongest,
            "cheapest": self.cheapest,
            "verdict": self.verdict.value,
            "routable": self.routable,
            "use": self.use,
            "advice": self.why,
            "advice_loss": _rounded(self.loss),
            "apgr": _rounded(self.recovered.apgr),
            "cpt50": _rounded(self.recovered.cpt50),
            "cpt80": _rounded(self.recovered.cpt80),
            "aiq": _rounded(self.aiq),
            "lift": _rounded(self.lift),
            "saved": {_percent(level): _rounded(kept.saved) for level, kept in self.levels.items()},
            "quality_kept": {_percent(level): _rounded(kept.quality_kept) for level, kept in self.levels.items()},
            "at_floor": {"saved": _rounded(self.at_floor.saved), "quality_kept": _rounded(self.at_floor.quality_kept)},
            "undertriage": _rounded(self.triaged.under),
            "overtriage": _rounded(self.triaged.over),
            "share": {name: _rounded(part) for name, part in self.share.items()},
            "intervals": _nested(self.intervals),
            "baselines": {
                name: {key: _rounded(value) if isinstance(value, float) else value for key, value in base.items()}
                for name, base in self.baselines.items()
            },
        }


def _nested(intervals: Mapping[str, Range]) -> dict[str, Any]:
    """``"saved 98"`` stands under "saved"."""
    found: dict[str, Any] = {}
    for name, one in intervals.items():
        place, _, level = name.partition(" ")
        between = [_rounded(one.low), _rounded(one.high)]
        if level:
            found.setdefault(place, {})[level] = between
        else:
            found[place] = between
    return found


def _rounded(value: float | np.floating[Any]) -> float | None:
    return None if np.isnan(value) else round(float(value), 4) + 0.0


def _percent(level: float) -> str:
    return f"{level * 100:g}"


def judge(tested: Tested, floor: float, seed: int = 0) -> Report:
    figures = _Figures(tested, floor)
    whole = figures.of(np.ones(len(tested.table)))
    samples = routing.resampled(len(tested.table), figures.of, np.random.default_rng(seed))
    table, best, cheap = tested.table, figures.best, figures.cheapest
    verdict, use, why = _advice(figures, whole, samples, floor)
    ratio = table.means / table.means[best] if table.means[best] > 0 else np.ones(len(table.models))
    at_floor = figures.kept(whole, floor)
    following = at_floor.quality_kept if use is None else float(ratio[table.models.index(use)])
    choice = tested.at[floor]
    return Report(
        table=table,
        floor=floor,
        learnt_from=tested.learnt_from,
        tested=len(table),
        strongest=table.models[best],
        cheapest=table.models[cheap],
        verdict=verdict,
        use=use,
        loss=1.0 - following,
        why=why,
        recovered=figures.recovered(whole),
        aiq=figures.get(whole, "aiq"),
        levels={level: figures.kept(whole, level) for level in LEVELS},
        at_floor=at_floor,
        triaged=routing.triaged(table.quality, table.costs, best, choice),
        share={name: float((choice == at).mean()) for at, name in enumerate(table.models)},
        lift=figures.get(whole, "lift"),
        intervals=figures.intervals(samples),
        baselines=_baselines(tested, figures, floor),
    )


class _Figures:
    """Everything that depends on which tasks chance brought, as one row of numbers."""

    def __init__(self, tested: Tested, floor: float) -> None:
        self.table = table = tested.table
        self.best, self.cheapest = table.strongest, int(np.argmin(table.costs))
        self._models = len(table.models)
        self.levels = sorted(tested.at)
        self._choices = [*(tested.at[level] for level in self.levels), *tested.curve]
        rows = np.arange(len(table))
        taken = [
            table.quality,
            table.cost,
            *(table.quality[rows, choice][:, None] for choice in self._choices),
            *(table.cost[rows, choice][:, None] for choice in self._choices),
        ]
        self._columns = np.hstack(taken)
        self._ranked = routing.Ranked(tested.score, table.quality[:, self.best] - table.quality[:, self.cheapest])
        self.names = [
            *(f"saved {_percent(level)}" for level in self.levels),
            *(f"quality_kept {_percent(level)}" for level in self.levels),
            *("apgr", "cpt50", "cpt80", "aiq", "lift"),
            *(f"ratio {name}" for name in table.models),
            *(f"thrift {name}" for name in table.models),
        ]
        self._place = {name: at for at, name in enumerate(self.names)}

    def of(self, weights: Floats) -> Floats:
        means = weights @ self._columns / weights.sum()
        models, chosen = self._models, len(self._choices)
        quality, cost = means[:models], means[models : 2 * models]
        had, paid = means[2 * models : 2 * models + chosen], means[2 * models + chosen :]
        reference, price = max(quality[self.best], 1e-12), max(cost[self.best], 1e-12)
        levels = len(self.levels)
        curve = slice(levels, None)
        lift = float((had[curve] - routing.mixed(cost, quality, paid[curve])).mean())
        area = routing.aiq(
            np.concatenate([paid[curve], cost]), np.concatenate([had[curve], quality]), cost.min(), cost.max()
        )
        return np.array(
            [
                *(1.0 - paid[:levels] / price),
                *(had[:levels] / reference),
                *self._ranked.recovered(weights),
                area,
                lift,
                *(quality / reference),
                *(1.0 - cost / price),
            ]
        )

    def get(self, values: Floats, name: str) -> float:
        return float(values[self._place[name]])

    def column(self, samples: Floats, name: str) -> Floats:
        return np.asarray(samples[:, self._place[name]])

    def recovered(self, values: Floats) -> routing.Recovered:
        return routing.Recovered(*(self.get(values, name) for name in ("apgr", "cpt50", "cpt80")))

    def kept(self, values: Floats, level: float) -> Kept:
        return Kept(self.get(values, f"saved {_percent(level)}"), self.get(values, f"quality_kept {_percent(level)}"))

    def intervals(self, samples: Floats) -> dict[str, Range]:
        shown = [name for name in self.names if not name.startswith(("ratio", "thrift"))]
        tail = (1.0 - INTERVAL) / 2
        found = {}
        for name in shown:
            values = self.column(samples, name)
            if not np.isnan(values).all():
                found[name] = Range(*(float(one) for one in np.nanquantile(values, [tail, 1.0 - tail])))
        return found


def _advice(figures: _Figures, whole: Floats, samples: Floats, floor: float) -> tuple[Verdict, str | None, str]:
    table = figures.table
    strongest = table.models[figures.best]
    single = _single(figures, whole, samples, floor)
    kept = figures.kept(whole, floor)
    level = _percent(floor)
    saved = figures.column(samples, f"saved {level}")
    surely_lifted = figures.get(whole, "lift") > SURE * float(figures.column(samples, "lift").std()) + 1e-12
    surely_saved = float(np.quantile(saved, 1.0 - SURE_ENOUGH)) >= WORTH
    holds = float(np.quantile(figures.column(samples, f"quality_kept {level}"), SURE_ENOUGH)) >= floor
    if single is not None:
        more = saved - figures.column(samples, f"thrift {single}")
        if not (surely_lifted and holds and float(np.quantile(more, 1.0 - SURE_ENOUGH)) > WORTH):
            thrift, ratio = figures.get(whole, f"thrift {single}"), figures.get(whole, f"ratio {single}")
            return (
                Verdict.ONE_MODEL,
                single,
                f"use model {single} for everything: it is as good as {strongest} ({ratio:.1%} of its quality)"
                f" and costs {thrift:.0%} less",
            )
    if not any(table.costs < table.costs[figures.best]):
        return (
            Verdict.ONE_MODEL,
            strongest,
            f"use model {strongest} for everything: none is better, and none costs less",
        )
    if surely_lifted and surely_saved and holds:
        low, high = np.quantile(saved, [0.025, 0.975])
        return (
            Verdict.ROUTE,
            None,
            f"route: {kept.saved:.0%} of the cost saved (between {low:.0%} and {high:.0%}) at {kept.quality_kept:.1%}"
            f" of {strongest}'s quality",
        )
    if not surely_lifted:
        why = "nothing in the tasks says which of them need it (no better than chance)"
    elif not surely_saved:
        why = f"too little is saved where {floor:.1%} of its quality is to be kept; more rows may change that"
    else:
        why = f"what was routed kept only {kept.quality_kept:.1%} of its quality"
    return Verdict.NOT_ROUTABLE, strongest, f"not routable, use model {strongest} for everything: {why}"


def _single(figures: _Figures, whole: Floats, samples: Floats, floor: float) -> str | None:
    """The cheapest model that surely keeps the floor, and spends at most half of what the floor allows."""
    table = figures.table
    for at in np.argsort(table.costs, kind="stable").tolist():
        name = table.models[int(at)]
        if table.costs[at] >= table.costs[figures.best]:
            return None
        surely = float(np.quantile(figures.column(samples, f"ratio {name}"), 1.0 - ONE_ERROR))
        if surely >= floor and figures.get(whole, f"ratio {name}") >= (1.0 + floor) / 2:
            return name
    return None


def _baselines(tested: Tested, figures: _Figures, floor: float) -> dict[str, dict[str, float | str | None]]:
    table, best, cheap = tested.table, figures.best, figures.cheapest
    means, costs = table.means, table.costs
    price, reference = max(costs[best], 1e-12), max(means[best], 1e-12)

    def of(quality: float, cost: float, **more: float | str | None) -> dict[str, float | str | None]:
        return {
            "saved": 1.0 - cost / price,
            "quality_kept": quality / reference,
            "quality": quality,
            "cost": cost,
            **more,
        }

    worthy = [at for at in np.argsort(costs, kind="stable") if means[at] >= floor * means[best] - 1e-12]
    least = routing.mixed_cost(costs, means, floor * means[best])
    found = {
        "all_strong": of(means[best], costs[best], model=table.models[best]),
        "all_cheap": of(means[cheap], costs[cheap], model=table.models[cheap], apgr=None),
        "best_single": of(means[worthy[0]], costs[worthy[0]], model=table.models[worthy[0]]),
        "random": of(float(routing.mixed(costs, means, np.array([least]))[0]), least, apgr=0.5),
    }
    if tested.by_type is not None and tested.by_type_score is not None:
        rows, choice = np.arange(len(table)), tested.by_type[floor]
        ranked = routing.Ranked(tested.by_type_score, table.quality[:, best] - table.quality[:, cheap])
        quality, cost = table.quality[rows, choice].mean(), table.cost[rows, choice].mean()
        found["type_mean"] = of(float(quality), float(cost), apgr=ranked.recovered().apgr)
    return found
