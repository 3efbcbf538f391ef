"""Training the choice among models, from a table of outcomes.

One logistic regression a model, on the words, the shape and the type of a task; what is compared are differences to the
strongest, and how far these may be believed, where the floors lie and how sure the types are comes from predictions for
rows that the predicting model had not seen (cross-fitting).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from laneway.errors import InputError
from laneway.learning.outcomes import Outcomes
from laneway.triage.learned.choice import (
    KIND,
    ODDEST,
    SHAPE_WEIGHT,
    TEXT_WEIGHT,
    Expected,
    Parts,
    chosen,
    expected,
    said_of,
    squashed,
)
from laneway.triage.learned.files import ModelFile, save
from laneway.triage.learned.texts import shape
from laneway.triage.learned.vectors import Vocabulary, terms_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FOLDS = 5
USUAL_STRENGTH, STRENGTHS = 0.3, (0.1, 1.0)  # of fitting, scikit-learn's C, and others that are tried
DOUBT = 0.5  # standard deviation of a slope, before rows have told
MOST_TRIED = 6_000  # rows that strengths are compared on
MOST_CROSSED = 20_000  # rows that get a prediction from a model that has not seen them
LEAST_ROWS = 100  # that say of every model how good it was
MOST_TERMS = 60_000
RAREST = 3  # tasks in which a term has to occur
GRAM, GRAM_WEIGHT = 4, 0.7  # characters; against whole words, of which they repeat most
FLOORS = tuple(round(0.9 + step / 200, 3) for step in range(21))
RATES = 200  # looked at for each floor

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """``crossed``: what was expected of ``rows`` of the table by models that had not seen them."""

    header: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    rows: Whole = field(repr=False)
    crossed: Expected = field(repr=False)

    def as_file(self) -> ModelFile:
        """As it would be read back; without an id."""
        return ModelFile(KIND, self.header, self.arrays)

    def write(self, path: Path, **more: Any) -> ModelFile:
        return save(path, KIND, {**self.header, **more}, self.arrays)


def fit(table: Outcomes, *, seed: int = 0) -> Fitted:
    """Raises InputError where too few rows say of every model how good it was."""
    if len(table.complete) < LEAST_ROWS:
        raise InputError(
            f"{len(table.complete)} rows say of all {len(table.models)} models how good they were:"
            f" at least {LEAST_ROWS} are needed",
            hint="fill the gaps, or leave out the model that has most of them",
        )
    chance = np.random.default_rng(seed)
    features = _Features.of(table)
    crossed_rows = _some(table.complete, MOST_CROSSED, chance)
    folds = folds_of([table.texts[row] for row in crossed_rows], chance)
    strength = _strength(features, table, crossed_rows, folds)
    raw = _crossed(features, table, crossed_rows, folds, strength)
    quality, kinds = table.quality[crossed_rows], features.kinds[crossed_rows]
    type_rows = np.bincount(features.kinds[features.kinds >= 0], minlength=len(features.types)).astype(float)
    weights = features.fitted(table, np.arange(len(table)), strength)

    def parts(rows: Whole) -> Parts:
        scale = _scale(raw[rows], quality[rows], kinds[rows], type_rows, table.strongest)
        return Parts(*features.split(weights), features.shape_mean, features.shape_spread, *scale)

    crossed = Expected(np.empty_like(raw), np.empty_like(raw))
    for fold in np.unique(folds):
        held = np.flatnonzero(folds == fold)
        found = expected(raw[held], kinds[held], table.strongest, parts(np.flatnonzero(folds != fold)))
        crossed.quality[held], crossed.bound[held] = found
    header = {
        "models": list(table.models),
        "strongest": table.models[table.strongest],
        "costs": [float(one) for one in table.costs],
        "unit": table.unit,
        "means": [float(one) for one in table.means],
        "floors": floors(table.take(crossed_rows), crossed.bound),
        "terms": list(features.vocabulary.terms),
        "types": features.types,
        "rows": len(table),
        "strength": strength,
        "seed": seed,
        "table": table.digest(),
    }
    return Fitted(
        header, {"idf": features.vocabulary.idf, **parts(np.arange(len(raw)))._asdict()}, crossed_rows, crossed
    )


def floors(table: Outcomes, bound: Floats) -> dict[str, float | None]:
    """For each floor the highest rate at which what was chosen, on these rows, kept that part of the strongest's
    quality, with a margin of one standard error, of half of one at a floor of 1."""
    best, costs, strongest = table.quality[:, [table.strongest]], table.costs, table.strongest
    found: dict[str, float | None] = {f"{floor:.3f}": None for floor in FLOORS}
    for rate in rates(bound, costs, strongest, RATES):
        choice = chosen(bound, costs, rate, strongest)
        kept = np.take_along_axis(table.quality, choice[:, None], axis=1)
        for floor in FLOORS:
            over = kept - floor * best
            margin = min(1.0, max(0.5, (1.0 - floor) / 0.01)) * over.std() / len(over) ** 0.5
            if over.mean() >= margin - 1e-12:
                found[f"{floor:.3f}"] = rate
    return found


def rates(bound: Floats, costs: Floats, strongest: int, many: int) -> list[float]:
    """0, and ``many`` rising ones at which choices change."""
    saved = costs[strongest] - costs
    cheaper = saved > 0
    turning = (bound[:, cheaper] / saved[cheaper]).ravel()
    turning = turning[turning > 0]
    steps = np.quantile(turning, np.linspace(0.0, 1.0, many)) if len(turning) else np.zeros(many)
    return [0.0, *(float(step) * (1 + 1e-9) for step in steps)]


def folds_of(texts: Sequence[str], chance: np.random.Generator, folds: int = FOLDS) -> Whole:
    """The fold of each row. Equal texts are in the same one: else what is tested would have been seen."""
    place = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    fold = np.arange(len(place)) % folds
    chance.shuffle(fold)
    return np.array([fold[place[text]] for text in texts], np.int64)


class _Features:
    """Of all rows of a table; the vocabulary is made from its texts alone, never from outcomes."""

    def __init__(self, table: Outcomes, vocabulary: Vocabulary, types: list[str]) -> None:
        from scipy.sparse import csr_matrix, hstack

        self.vocabulary, self.types = vocabulary, types
        place = {name: at for at, name in enumerate(types)}
        self.kinds: Whole = np.array([place.get(kind or "", -1) for kind in table.types], np.int64)
        shapes = np.log1p(np.array([shape(text) for text in table.texts]))
        self.shape_mean, self.shape_spread = shapes.mean(axis=0), shapes.std(axis=0) + 1e-6
        standard = np.clip((shapes - self.shape_mean) / self.shape_spread, -ODDEST, ODDEST) * SHAPE_WEIGHT
        rows, n = vocabulary.rows(table.texts), len(table)
        words = csr_matrix((rows.values * TEXT_WEIGHT, rows.indices, rows.indptr), shape=(n, len(vocabulary.terms)))
        typed = np.flatnonzero(self.kinds >= 0)
        ones = csr_matrix((np.ones(len(typed)), (typed, self.kinds[typed])), shape=(n, len(types)))
        self.matrix: csr_matrix = hstack([words, csr_matrix(standard), ones], format="csr")

    @classmethod
    def of(cls, table: Outcomes) -> _Features:
        types = sorted({kind for kind in table.types if kind})
        return cls(table, _vocabulary(table.texts), types)

    def fitted(self, table: Outcomes, rows: Whole, strength: float) -> Floats:
        """(features and, last, the intercept; models)"""
        known = ~np.isnan(table.quality[rows])
        columns = [
            _logistic(self.matrix[rows[known[:, at]]], table.quality[rows[known[:, at]], at], strength)
            for at in range(len(table.models))
        ]
        return np.array(columns).T

    def scores(self, rows: Whole, weights: Floats) -> Floats:
        return np.asarray(self.matrix[rows] @ weights[:-1] + weights[-1])

    def split(self, weights: Floats) -> tuple[NDArray[np.float32], Floats, Floats, Floats]:
        """Of words, shape, types, and the intercept."""
        words = len(self.vocabulary.terms)
        types = len(weights) - 1 - len(self.types)
        return weights[:words].astype(np.float32), weights[words:types], weights[types:-1], weights[-1]


def _vocabulary(texts: Sequence[str]) -> Vocabulary:
    """Words, pairs and pieces of four characters that several tasks have, the commonest first."""
    distinct = list(dict.fromkeys(texts))
    counted: Counter[str] = Counter()
    for text in distinct:
        counted.update(term for term in terms_of(text) if term[0] != "·" or len(term) == GRAM + 1)
    common = [term for term, n in counted.items() if n >= RAREST]
    kept = sorted(common, key=lambda term: (-counted[term], term))[:MOST_TERMS]
    rarity = np.log([(1 + len(distinct)) / (1 + counted[term]) for term in kept]) + 1.0
    weight = [GRAM_WEIGHT if term[0] == "·" else 1.0 for term in kept]
    return Vocabulary(kept, (rarity * weight).astype(np.float32))


def _logistic(matrix: csr_matrix, quality: Floats, strength: float) -> Floats:
    """Weights and intercept. A score between 0 and 1 counts as so much of a success and the rest of a failure."""
    from scipy.sparse import vstack
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean = float(quality.mean())
    if mean in (0.0, 1.0):
        surely = float(np.log((mean * len(quality) + 0.5) / ((1 - mean) * len(quality) + 0.5)))
        return np.array([*np.zeros(matrix.shape[1]), surely])
    model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
    graded = np.flatnonzero((quality > 0.0) & (quality < 1.0))
    weight = np.where(quality >= 0.5, quality, 1.0 - quality)
    both = vstack([matrix, matrix[graded]], format="csr") if len(graded) else matrix
    labels = np.concatenate([quality >= 0.5, quality[graded] < 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough
        model.fit(both, labels, sample_weight=np.concatenate([weight, 1.0 - weight[graded]]))
    return np.array([*model.coef_[0], model.intercept_[0]])


def _some(rows: Whole, most: int, chance: np.random.Generator) -> Whole:
    return rows if len(rows) <= most else np.sort(chance.choice(rows, most, replace=False))


def _crossed(features: _Features, table: Outcomes, rows: Whole, folds: Whole, strength: float) -> Floats:
    """What the logistic models say of each row, without having seen it. (rows, models)"""
    found = np.empty((len(rows), len(table.models)))
    for fold in np.unique(folds):
        held = folds == fold
        weights = features.fitted(table, rows[~held], strength)
        found[held] = squashed(features.scores(rows[held], weights))
    return found


def _strength(features: _Features, table: Outcomes, rows: Whole, folds: Whole) -> float:
    """With which the losses of rows not seen are predicted best; the usual one, unless another is surely better."""
    few = slice(0, None) if len(rows) <= MOST_TRIED else slice(0, None, -(-len(rows) // MOST_TRIED))
    rows, folds, best = rows[few], folds[few], table.strongest
    loss = table.quality[rows][:, [best]] - table.quality[rows]

    def errors(strength: float) -> Floats:
        raw = _crossed(features, table, rows, folds, strength)
        return np.asarray(((raw[:, [best]] - raw - loss) ** 2).mean(axis=1))

    found, usual = USUAL_STRENGTH, errors(USUAL_STRENGTH)
    least = 0.0
    for strength in STRENGTHS:
        better = usual - errors(strength)
        if better.mean() > max(least, better.std() / len(better) ** 0.5):
            found, least = strength, float(better.mean())
    return found


def _scale(raw: Floats, quality: Floats, kinds: Whole, type_rows: Floats, best: int) -> tuple[Floats, ...]:
    """``shift, slope, common, type_rows, spread, noise`` of ``Parts``."""
    models = quality.shape[1]
    shift, slope, common, spread, noise = (np.zeros(models) for _ in range(5))
    said, of_all = said_of(raw, best)
    for at in range(models):
        was = quality[:, best] if at == best else quality[:, best] - quality[:, at]
        slope[at], common[at] = _believable(said[:, at], of_all[:, 0], was)
        shift[at] = (was - slope[at] * said[:, at] - common[at] * of_all[:, 0]).mean()
        if at != best:
            noise[at] = (was - shift[at] - slope[at] * said[:, at] - common[at] * of_all[:, 0]).std()
            spread[at] = _between(was, kinds, len(type_rows))
    return shift, slope, common, type_rows, spread, noise


def _believable(says: Floats, of_all: Floats, was: Floats) -> tuple[float, float]:
    """How far what was said of a loss is believed, and how far what was said of all models beyond that. The first is
    taken at its word (a slope of 1, give or take DOUBT) until rows say otherwise; the second counts for nothing until
    it is sure (James and Stein's rule, from twice the standard error)."""
    x, y = says - says.mean(), was - was.mean()
    seen = float(x @ x) / max(float(y.var()), 1e-12)  # 1 / variance of the slope by these rows
    slope = max(0.0, (DOUBT**-2 + seen * float(x @ y) / max(float(x @ x), 1e-12)) / (DOUBT**-2 + seen))
    other = of_all - of_all.mean()
    other = other - x * (float(other @ x) / max(float(x @ x), 1e-12))
    left = y - slope * x
    square = float(other @ other)
    if square < 1e-9 * len(x):
        return slope, 0.0
    more = float(other @ left) / square
    surety = more**2 * square / max(float(left.var()), 1e-12)
    common = more * max(0.0, 1.0 - 4.0 / max(surety, 1e-12))
    return slope - common * float((of_all - of_all.mean()) @ x) / max(float(x @ x), 1e-12), common


def _between(loss: Floats, kinds: Whole, types: int) -> float:
    """By how much the mean losses of types differ beyond what chance makes of them (moments; standard deviation)."""
    typed = kinds >= 0
    rows = np.bincount(kinds[typed], minlength=types)
    if (rows > 1).sum() < 2:
        return 0.0
    many = rows > 1
    rows, sums = rows[many], np.bincount(kinds[typed], loss[typed], types)[many]
    means = sums / rows
    over = (means - np.average(means, weights=rows)) ** 2 - loss.var() / rows
    return float(max(np.average(over, weights=rows), 1e-6) ** 0.5)
