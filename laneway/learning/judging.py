"""What a choice among models would have saved and kept on tasks that it has not seen, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.errors import InputError
from laneway.learning.choice import FOLDS, LEAST_ROWS, Fitted, fit, floors, folds_of, rates
from laneway.learning.outcomes import Outcomes
from laneway.triage.learned.choice import Choice, allowed, chosen

LEVELS = (0.95, 0.98, 1.0)
MOST_IN_TURN = 20_000  # rows that are all tested, each by a model that learnt from other folds; of more, a part is:
TEST_SHARE = 0.35
STEPS = 19  # rates that the whole curve is judged by

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class Tested(NamedTuple):
    """Tasks, and what was chosen for them by models that had not seen them. ``at``: by floor. ``curve``: at rising
    rates. ``score``: in which order they would go to the strongest rather than the cheapest model."""

    table: Outcomes
    at: Mapping[float, Whole]
    curve: Sequence[Whole]
    score: Floats
    by_type: Mapping[float, Whole] | None  # chosen by the type's mean alone
    by_type_score: Floats | None
    learnt_from: int  # rows


def try_out(table: Outcomes, floor: float, seed: int) -> Tested:
    """With models trained on other rows of the same table."""
    if len(table.complete) < LEAST_ROWS * 2:
        raise InputError(
            f"{len(table.complete)} rows say of every model how good it was: at least {LEAST_ROWS * 2} are needed",
            hint="run more of your tasks on all the models",
        )
    parts = [_test_on(table.take(train), table.take(held), floor, seed) for train, held in _splits(table, seed)]
    return _joined(parts)


def try_file(choice: Choice, table: Outcomes, floor: float) -> Tested:
    """With a model file."""
    if missing := [model for model in choice.models if model not in table.models]:
        raise InputError(
            f"the model file chooses among {', '.join(choice.models)}, and the table says nothing of {missing[0]}",
            hint=f"it needs a column quality:{missing[0]}",
        )
    order = [table.models.index(model) for model in choice.models]
    table = Outcomes(table.texts, table.types, choice.models, table.quality[:, order], table.cost[:, order], table.unit)
    return _chosen(choice, table.take(table.complete), floor, None, choice.header["rows"])


def _splits(table: Outcomes, seed: int) -> Iterator[tuple[Whole, Whole]]:
    chance = np.random.default_rng(seed)
    complete = table.complete
    single = len(complete) > MOST_IN_TURN
    folds = folds_of(table.texts, chance, 20 if single else FOLDS)
    for tested in [range(round(20 * TEST_SHARE))] if single else [range(at, at + 1) for at in range(FOLDS)]:
        held = np.isin(folds, list(tested))
        yield np.flatnonzero(~held), np.intersect1d(np.flatnonzero(held), complete)


def _test_on(train: Outcomes, held: Outcomes, floor: float, seed: int) -> Tested:
    fitted = fit(train, seed=seed)
    return _chosen(Choice(fitted.as_file()), held, floor, (fitted, train), len(train))


def _chosen(choice: Choice, held: Outcomes, floor: float, learnt: tuple[Fitted, Outcomes] | None, rows: int) -> Tested:
    bound = choice.expect(held.texts, held.types).bound
    levels = sorted({*LEVELS, floor})
    at = {level: choice.choose(bound, level) for level in levels}
    steps = rates(bound if learnt is None else learnt[0].crossed.bound, choice.costs, choice.strongest, STEPS)
    curve = [chosen(bound, choice.costs, rate, choice.strongest) for rate in steps]
    strongest, cheapest = held.strongest, int(np.argmin(held.costs))
    by_type = by_type_score = None
    if learnt is not None and any(held.types):
        table = learnt[1].take(learnt[1].complete)
        own, of_held = _type_means(table, table, choice.strongest), _type_means(table, held, choice.strongest)
        known = floors(table, own)
        by_type = {level: chosen(of_held, choice.costs, allowed(known, level), choice.strongest) for level in levels}
        by_type_score = of_held[:, cheapest] - of_held[:, strongest]
    return Tested(held, at, curve, bound[:, cheapest] - bound[:, strongest], by_type, by_type_score, rows)


def _type_means(learnt: Outcomes, of: Outcomes, strongest: int) -> Floats:
    """The mean loss of each task's type, drawn towards the whole's as if ten more rows had shown that."""
    loss = learnt.quality[:, [strongest]] - learnt.quality
    whole = loss.mean(axis=0)
    place = {name: at for at, name in enumerate(sorted({kind or "" for kind in learnt.types}))}
    kinds = np.array([place[kind or ""] for kind in learnt.types])
    sums = np.array([np.bincount(kinds, column, len(place)) for column in loss.T]).T
    means = (sums + 10 * whole) / (np.bincount(kinds, minlength=len(place))[:, None] + 10)
    return np.array([means[place[kind or ""]] if (kind or "") in place else whole for kind in of.types])


def _joined(parts: Sequence[Tested]) -> Tested:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    tables = [part.table for part in parts]
    table = Outcomes(
        [text for one in tables for text in one.texts],
        [kind for one in tables for kind in one.types],
        first.table.models,
        np.vstack([one.quality for one in tables]),
        np.vstack([one.cost for one in tables]),
        first.table.unit,
        first.table.strongest,
    )
    by_type = None
    if all(part.by_type is not None for part in parts):
        by_type = {level: np.concatenate([(part.by_type or {})[level] for part in parts]) for level in first.at}
    return Tested(
        table,
        {level: np.concatenate([part.at[level] for part in parts]) for level in first.at},
        [np.concatenate(step) for step in zip(*(part.curve for part in parts), strict=True)],
        np.concatenate([part.score for part in parts]),
        by_type,
        np.concatenate([part.by_type_score for part in parts if part.by_type_score is not None]) if by_type else None,
        min(part.learnt_from for part in parts),
    )
