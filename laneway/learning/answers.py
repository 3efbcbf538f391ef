"""Training the model of answers: how likely an answer is good, and how likely a further model's would be.

Calibration and margins come from predictions for rows that the predicting model had not seen (cross-fitting).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.errors import InputError
from laneway.triage.learned.answers import KIND, Weights, standardised
from laneway.triage.learned.files import ModelFile, save
from laneway.triage.learned.texts import pairs, words
from laneway.triage.learned.traits import TRAITS, read, traits
from laneway.triage.learned.vectors import Rows, Vocabulary

LEAST_ROWS = 60  # with answers of a model
FOLDS = 5
RAREST = 3  # texts in which a term has to occur
MOST_TERMS = 20_000
STRENGTH = 1.0  # inverse of the regularisation, as scikit-learn's C
TRAIT_WEIGHT = 0.3  # of standardised traits beside rows of length 1
SAFETY = 1.0  # standard errors by which the quality kept has to lie above the floor

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answered:
    """A table of outcomes, some with answers. ``quality`` by model: 0 to 1 a row, NaN where it is not known.
    ``answers`` by model: None where there is none. ``types``: empty where the table has none."""

    prompts: Sequence[str]
    quality: Mapping[str, Floats]
    answers: Mapping[str, Sequence[str | None]]
    types: Sequence[str] = ()

    def read(self) -> Answered:
        """As much of the texts as is looked at."""
        answers = {name: [None if one is None else read(one) for one in texts] for name, texts in self.answers.items()}
        return Answered([read(prompt) for prompt in self.prompts], self.quality, answers, self.types)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Answered:
        chosen = [int(row) for row in rows]
        return Answered(
            [self.prompts[row] for row in chosen],
            {name: values[chosen] for name, values in self.quality.items()},
            {name: [texts[row] for row in chosen] for name, texts in self.answers.items()},
            [self.types[row] for row in chosen] if self.types else (),
        )


class Cascade(NamedTuple):
    """What one model's answers and the way from it to a further model come to, on rows not seen in training."""

    model: str
    further: str
    rows: int
    margin: float
    escalated: float  # share of the answers
    quality: float  # kept, of all-further's
    error: float  # standard error of that


@dataclass(frozen=True, slots=True)
class Trained:
    header: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    cascades: tuple[Cascade, ...]

    def write(self, path: Path) -> ModelFile:
        return save(path, KIND, self.header, self.arrays)


def train(table: Answered, *, floor: float = 0.98, seed: int = 0) -> Trained:
    """``floor``: the quality to be kept, of the further model's. Raises InputError where there are too few rows."""
    models, types = tuple(table.quality), sorted(set(table.types))
    if len(models) < 2:
        raise InputError("a cascade needs the quality of two models", hint="add a column quality:NAME for each")
    table = table.read()
    judges: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    cascades: list[Cascade] = []
    for model in table.answers:
        own = table.take(known_rows(table, model))
        if len(own.prompts) < LEAST_ROWS:
            continue
        weights, chances = _fit_calibrated(own, model, models, types, seed)
        found = [_cascade(model, further, own, chances, models, floor) for further in models if further != model]
        cascades += found
        at = len(judges)
        arrays |= {f"{at}/{name}": value for name, value in zip(weights._fields[2:], weights[2:], strict=True)}
        arrays |= {f"{at}/answer_idf": weights.answers.idf, f"{at}/prompt_idf": weights.prompts.idf}
        margins = {one.further: round(one.margin, 6) for one in found}
        terms = {"terms": [*weights.answers.terms], "prompt_terms": [*weights.prompts.terms]}
        judges.append({"model": model, "margins": margins, "rows": len(own.prompts), **terms})
    if not judges:
        raise InputError(
            f"too few answers to learn from: {LEAST_ROWS} rows need an answer and every model's quality",
            hint="a column answer:NAME holds the answers of the model NAME",
        )
    header = {"models": [*models], "types": types, "traits": [*TRAITS], "floor": floor, "seed": seed, "judges": judges}
    return Trained(header, arrays, tuple(cascades))


def known_rows(table: Answered, model: str) -> list[int]:
    """Those with this model's answer and everybody's quality."""
    known = ~np.isnan(np.array([*table.quality.values()])).any(axis=0)
    return [row for row, answer in enumerate(table.answers[model]) if answer is not None and known[row]]


# fitting --------------------------------------------------------------------------------------------------------------
def _fit_calibrated(
    own: Answered, model: str, models: Sequence[str], types: Sequence[str], seed: int
) -> tuple[Weights, Floats]:
    """The weights, and the calibrated chances of rows that were not seen."""
    from sklearn.model_selection import StratifiedKFold

    quality = np.stack([own.quality[name] for name in models], axis=1)
    patterns = ["".join(map(str, row)) for row in (quality >= 0.5).astype(int)]
    rare = {pattern for pattern, n in Counter(patterns).items() if n < FOLDS}
    strata = ["" if pattern in rare else pattern for pattern in patterns]
    folds = FOLDS if Counter(strata)[""] in (0, *range(FOLDS, len(strata) + 1)) else 2
    unseen = np.zeros(quality.shape)
    for rest, held in _splits(StratifiedKFold(folds, shuffle=True, random_state=seed), strata):
        weights = _fit(own.take(rest), model, models, types)
        unseen[held] = _scores(weights, own.take(held), model, types)
    slope, offset = _calibration(unseen, quality)
    weights = _fit(own, model, models, types)._replace(slope=slope, offset=offset)
    return weights, np.asarray(weights.chances(unseen.astype(np.float32)), np.float64)


def _splits(folds: Any, strata: Sequence[str]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    return list(folds.split(np.zeros(len(strata)), strata))


def _scores(weights: Weights, table: Answered, model: str, types: Sequence[str]) -> Any:
    answers = [answer or "" for answer in table.answers[model]]
    return weights.scores(table.prompts, answers, _type_numbers(table, types))


def _type_numbers(table: Answered, types: Sequence[str]) -> list[int | None]:
    known = {name: at for at, name in enumerate(types)}
    return [known.get(name) for name in table.types] if table.types else [None] * len(table.prompts)


def _fit(own: Answered, model: str, models: Sequence[str], types: Sequence[str]) -> Weights:
    from scipy.sparse import csr_matrix, hstack

    answers = [answer or "" for answer in own.answers[model]]
    of_answers, of_prompts = vocabulary(answers), vocabulary(own.prompts)
    raw = np.array([traits(*pair) for pair in zip(own.prompts, answers, strict=True)], np.float32)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    scale = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)
    of_type = np.zeros((len(answers), len(types)), np.float32)
    for row, type_ in enumerate(_type_numbers(own, types)):
        if type_ is not None:
            of_type[row, type_] = 1.0
    sparse = [_sparse(csr_matrix, vocabulary_.rows(texts), len(vocabulary_.terms))
              for vocabulary_, texts in ((of_answers, answers), (of_prompts, own.prompts))]  # fmt: skip
    dense = csr_matrix(np.hstack([TRAIT_WEIGHT * standardised(raw.tolist(), mean, scale), of_type]))
    features = hstack([*sparse, dense]).tocsr()
    columns = [_regression(features, own.quality[name], STRENGTH) for name in models]
    weights = np.stack([column for column, _ in columns], axis=1).astype(np.float32)
    ends = np.cumsum([len(of_answers.terms), len(of_prompts.terms), len(TRAITS), len(types)])
    by_answer, by_prompt, by_traits, by_type = np.split(weights, ends[:-1])
    bias = np.array([intercept for _, intercept in columns], np.float32)
    ones, zeros = np.ones(len(models), np.float32), np.zeros(len(models), np.float32)
    return Weights(
        of_answers, of_prompts, by_answer, by_prompt, TRAIT_WEIGHT * by_traits, by_type, mean, scale, bias, ones, zeros
    )


def _sparse(matrix: Any, rows: Rows, columns: int) -> Any:
    return matrix((rows.values, rows.indices, rows.indptr), shape=(len(rows.indptr) - 1, columns))


def _regression(features: Any, quality: Floats, strength: float) -> tuple[Floats, float]:
    """Weights and intercept of a logistic regression on scores of 0 to 1: each row counts as good by its score and as
    bad by the rest."""
    from sklearn.linear_model import LogisticRegression

    rows, good, weight = _halves(quality)
    if len(set(good)) < 2:  # all good, or all bad
        share = (quality.sum() + 1.0) / (len(quality) + 2.0)
        return np.zeros(features.shape[1]), math.log(share / (1.0 - share))
    fitted = LogisticRegression(C=strength, max_iter=2000).fit(features[rows], good, sample_weight=weight)
    return fitted.coef_[0], float(fitted.intercept_[0])


def _halves(quality: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """(row, good or bad, weight), without those of no weight."""
    rows = np.concatenate([np.flatnonzero(quality > 0.0), np.flatnonzero(quality < 1.0)])
    good = np.repeat([1, 0], [int((quality > 0.0).sum()), int((quality < 1.0).sum())])
    return rows, good, np.where(good == 1, quality[rows], 1.0 - quality[rows])


def _calibration(scores: Floats, quality: Floats) -> tuple[Any, Any]:
    """Slope and offset of each model's logit (Platt, "Probabilistic outputs for support vector machines", 1999)."""
    found = [_regression(scores[:, [at]], quality[:, at], 1e3) for at in range(scores.shape[1])]
    slopes = [max(0.0, float(weights[0])) for weights, _ in found]
    return np.array(slopes, np.float32), np.array([offset for _, offset in found], np.float32)


def vocabulary(texts: Sequence[str]) -> Vocabulary:
    """Words and pairs of words that are not rare."""
    seen: Counter[str] = Counter()
    for text in texts:
        of_text = words(text)
        seen.update({*of_text, *pairs(of_text)})
    common = sorted((term for term, n in seen.items() if n >= RAREST), key=lambda term: (-seen[term], term))
    terms = sorted(common[:MOST_TERMS])
    idf = [math.log((1 + len(texts)) / (1 + seen[term])) + 1.0 for term in terms]
    return Vocabulary(terms, np.array(idf, np.float32))


# the margin -----------------------------------------------------------------------------------------------------------
def _cascade(model: str, further: str, own: Answered, chances: Floats, models: Sequence[str], floor: float) -> Cascade:
    gain = chances[:, models.index(further)] - chances[:, models.index(model)]
    margin, escalated, kept, error = choose_margin(gain, own.quality[model], own.quality[further], floor)
    return Cascade(model, further, len(gain), margin, escalated, kept, error)


def choose_margin(gain: Floats, own: Floats, further: Floats, floor: float) -> tuple[float, float, float, float]:
    """The margin with which the fewest answers go on at a quality of ``floor`` times the further model's, by SAFETY
    standard errors; never below 0, so that nothing goes on that is not expected to gain. Also the share that goes on,
    the quality kept (of the further model's) and its standard error."""
    order = np.argsort(-gain, kind="stable")
    gain, own, further = gain[order], own[order], further[order]
    n, best = len(gain), max(float(further.mean()), 1e-9)
    gone, stayed = (1.0 - floor) * further, own - floor * further  # by how much a row lies above the floor
    above, squares = (_with_first(stayed, gone, power) / n for power in (1, 2))
    error = np.sqrt(np.maximum(0.0, squares - above**2) / n)
    most = int((gain > 0.0).sum())
    too_few = np.flatnonzero((above < SAFETY * error)[: most + 1])  # the last one: an earlier crossing is luck
    goes = min(most, int(too_few[-1]) + 1) if len(too_few) else 0
    if goes == 0:
        margin = 1.0
    else:
        margin = max(0.0, float(gain[goes - 1] + gain[goes]) / 2 if goes < n else float(gain[-1]) - 1e-6)
    return margin, goes / n, floor + float(above[goes]) / best, float(error[goes]) / best


def _with_first(stayed: Floats, gone: Floats, power: int) -> Floats:
    """Sums over all rows, of which the first 0, 1, 2, … go on."""
    found: Floats = np.cumsum(np.concatenate([[(stayed**power).sum()], gone**power - stayed**power]))
    return found
