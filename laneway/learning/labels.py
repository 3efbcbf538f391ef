"""Training category, urgency or complexity from labelled texts, and judging it on rows that it has not seen.

Five parts: each is labelled by what the other four taught, so every figure of the report, the calibration and the
threshold come from texts that were not seen. The file that is written learns from all rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.learning.examples import FIELDS, Examples
from laneway.learning.metrics import (
    Coverage,
    OfClass,
    Rates,
    by_class,
    calibration_error,
    confusion,
    coverage,
    macro_f1,
)
from laneway.learning.metrics import rates as rates_of
from laneway.learning.splits import folds, sample
from laneway.triage.learned.files import ModelFile, save
from laneway.triage.learned.labels import AT_ONCE, Weights, at_least, chances_of, highest, standardised
from laneway.triage.learned.texts import grams, pairs, shape, words
from laneway.triage.learned.vectors import Vocabulary

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FOLDS = 5
MOST_TAUGHT = 40_000  # rows; more teach hardly more, and take as much longer
RAREST, MANY = 2, 5_000  # texts in which a term has to occur; one more where there are so many of them
MOST_TERMS = 60_000
MOST_WEIGHTS = 4_000_000  # terms · labels: what a file and a worker's memory hold
GRAM_WEIGHT = 0.5  # of pieces of words, beside words and pairs
SHAPE_WEIGHT = 0.1  # of standardised numbers, beside rows of length 1
STRENGTH = 10.0  # inverse of the regularisation, as scikit-learn's C
COMMONPLACE = 0.2  # of the texts
TYPICAL = 24  # words of each label that a finding may name
LEAST = 0.5  # how likely a category has to be right
UNDERTRIAGE = 0.05
NEVER = -20.0  # intercept of a label without rows
COVERAGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Weights32 = NDArray[np.float32]


class Confusion(NamedTuple):
    truth: str
    given: str
    rows: int
    share: float  # of the true label's rows


@dataclass(frozen=True, slots=True)
class Report:
    """All of rows not seen in training. ``least``: the confidence below which it abstains; of ordered labels, how
    likely a label must be to be needed. ``found``: what comes of that."""

    about: str
    rows: int
    labels: Mapping[str, OfClass]
    macro_f1: float
    accuracy: float
    ece: float
    confusions: Sequence[Confusion]
    coverage: Sequence[Coverage]
    least: float
    found: Coverage | Rates
    undertriage: float | None = None  # as was asked for
    majority: float = 0.0  # accuracy of the commonest label alone


@dataclass(frozen=True, slots=True)
class Trained:
    about: str
    header: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    report: Report

    def write(self, path: Path) -> ModelFile:
        return save(path, self.about, self.header, self.arrays)


def train(examples: Examples, *, undertriage: float = UNDERTRIAGE, least: float = LEAST, seed: int = 0) -> Trained:
    """``undertriage``: how many of an urgency's or complexity's texts may be given less than they need. ``least``: how
    likely a category has to be right; below it abstains."""
    chosen = sample(examples.labels, MOST_TAUGHT, seed)
    texts, labels = [examples.texts[row] for row in chosen], [examples.labels[row] for row in chosen]
    number = {label: at for at, label in enumerate(examples.classes)}
    truth = np.array([number[label] for label in labels], np.int64)
    ordered, classes = FIELDS[examples.about] is not None, len(number)
    part = folds(texts, labels, FOLDS, seed)
    scores = np.zeros((len(texts), classes))
    for one in range(FOLDS):
        rest, held = np.flatnonzero(part != one), np.flatnonzero(part == one)
        fitted = _fit([texts[row] for row in rest], truth[rest], classes, ordered)
        scores[held] = fitted.scores([texts[row] for row in held])
    report = _judge(examples, scores, truth, part, undertriage=undertriage, least=least)
    fitted = _fit(texts, truth, classes, ordered).calibrated(*_calibration(scores, truth))
    header = {
        "labels": [*examples.classes],
        "ordered": ordered,
        "least": report.least,
        "terms": [*fitted.vocabulary.terms],
        "rows": len(texts),
        "seed": seed,
        "judged": {"macro_f1": round(report.macro_f1, 4), "ece": round(report.ece, 4)},
    }
    arrays = {name: array.astype(np.float16 if name == "of_terms" else np.float32)
              for name, array in zip(Weights._fields, fitted.weights, strict=True)}  # fmt: skip
    arrays |= {"idf": fitted.vocabulary.idf, "typical": fitted.typical(texts, truth)}
    return Trained(examples.about, header, arrays, report)


# fitting --------------------------------------------------------------------------------------------------------------
class Fitted(NamedTuple):
    vocabulary: Vocabulary
    weights: Weights

    def scores(self, texts: Sequence[str]) -> Floats:
        found = [self.weights.scores(self.vocabulary.rows(some), some) for some in _some(texts)]
        return np.concatenate(found).astype(np.float64)

    def calibrated(self, sharpness: float, offset: Floats) -> Fitted:
        weights = self.weights
        return self._replace(
            weights=weights._replace(
                of_terms=weights.of_terms * np.float32(sharpness),
                of_shape=weights.of_shape * np.float32(sharpness),
                intercept=(weights.intercept * sharpness + offset).astype(np.float32),
            )
        )

    def typical(self, texts: Sequence[str], truth: Whole) -> NDArray[np.int32]:
        """For each label the words and pairs that speak for it most, over all its texts. What stands in every fifth
        text or more explains nothing."""
        labels = self.weights.of_terms.shape[1]
        rare = self.vocabulary.idf > math.log(1.0 / COMMONPLACE) + 1.0
        whole = rare & np.array([term[:1] != "·" and len(term) > 2 for term in self.vocabulary.terms], bool)
        above = self.weights.of_terms - self.weights.of_terms.mean(axis=1, keepdims=True)
        rows = _matrix(self.vocabulary, texts)
        found = np.full((labels, TYPICAL), -1, np.int32)
        for label in range(labels):
            total = np.asarray(rows[truth == label].sum(axis=0)).ravel()
            speaks = np.where(whole, total * above[:, label], 0.0)
            best = np.argsort(-speaks, kind="stable")[:TYPICAL]
            best = best[speaks[best] > 0.0]
            found[label, : len(best)] = best
        return found


def _fit(texts: Sequence[str], truth: Whole, classes: int, ordered: bool) -> Fitted:
    """Labels of which ``texts`` has no row stay possible: with no weight of their own and a very low intercept."""
    from scipy.sparse import csr_matrix, hstack

    known = vocabulary(texts, min(MOST_TERMS, MOST_WEIGHTS // classes))
    features = _matrix(known, texts)
    mean = spread = np.zeros(0, np.float32)
    if ordered:
        raw = np.log1p(np.array([shape(text) for text in texts], np.float32))
        mean, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-3)
        numbers = SHAPE_WEIGHT * standardised(np.expm1(raw).tolist(), mean, spread)
        features = hstack([features, csr_matrix(numbers)]).tocsr()
    columns, intercept = _regression(features, truth, classes)
    terms = len(known.terms)
    of_shape = columns[terms:] * np.float32(SHAPE_WEIGHT)
    return Fitted(known, Weights(columns[:terms], of_shape, intercept, mean, spread))


def _regression(features: csr_matrix, truth: Whole, classes: int) -> tuple[Weights32, Weights32]:
    """Weights (features, classes) and intercepts."""
    from sklearn.linear_model import LogisticRegression

    counts = np.bincount(truth, minlength=classes)
    columns = np.zeros((features.shape[1], classes), np.float32)
    intercept = np.where(counts > 0, 0.0, NEVER).astype(np.float32)
    if not features.shape[1] or np.count_nonzero(counts) < 2:
        return columns, intercept
    weight = np.sqrt(len(truth) / np.maximum(1, counts) / classes)[truth]  # rare labels count for more
    fitted = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3).fit(features, truth, sample_weight=weight)
    own, bias = fitted.coef_.T, fitted.intercept_
    if len(fitted.classes_) == 2:  # scikit-learn keeps one column for two
        own, bias = np.hstack([-own / 2, own / 2]), np.concatenate([-bias / 2, bias / 2])
    columns[:, fitted.classes_] = own
    intercept[fitted.classes_] = bias
    return columns, intercept


def _matrix(known: Vocabulary, texts: Sequence[str]) -> csr_matrix:
    from scipy.sparse import csr_matrix, vstack

    parts = [known.rows(some) for some in _some(texts)]
    size = len(known.terms)
    return vstack(
        [csr_matrix((one.values, one.indices, one.indptr), shape=(len(one.indptr) - 1, size)) for one in parts],
        format="csr",
    )


def _some(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE))


def vocabulary(texts: Sequence[str], most: int) -> Vocabulary:
    """The commonest terms that are neither rare nor in most texts. Pieces of words weigh less than words."""
    seen: Counter[str] = Counter()
    for text in texts:
        of_text = words(text)
        own = set(of_text)
        for word in tuple(own):
            own.update(grams(word))
        seen.update(own)
        seen.update({*pairs(of_text)})
    rarest = RAREST + (len(texts) >= MANY)
    usual = {term: n for term, n in seen.items() if n >= rarest}
    terms = sorted(sorted(usual, key=lambda term: (-usual[term], term))[:most])
    idf = [(math.log((1 + len(texts)) / (1 + usual[term])) + 1.0) * (GRAM_WEIGHT if term[0] == "·" else 1.0)
           for term in terms]  # fmt: skip
    return Vocabulary(terms, np.array(idf, np.float32))


# calibration and judgement --------------------------------------------------------------------------------------------
def _calibration(scores: Floats, truth: Whole) -> tuple[float, Floats]:
    """Sharpness and each label's offset: a softmax of ``sharpness · scores + offset`` is as likely right as it says
    (temperature and vector scaling, Guo et al., 2017)."""
    from scipy.optimize import minimize

    n, classes = scores.shape
    rows = np.arange(n)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        sharpness, offset = math.exp(parameters[0]), parameters[1:]
        chances = chances_of(sharpness * scores + offset)
        gap = chances.copy()
        gap[rows, truth] -= 1.0
        slope = np.concatenate([[float((gap * scores).sum()) * sharpness], gap.sum(axis=0)]) + 2.0 * parameters
        value = -float(np.log(np.maximum(chances[rows, truth], 1e-12)).sum()) + float((parameters**2).sum())
        return value / n, slope / n

    best = minimize(loss, np.zeros(classes + 1), jac=True, method="L-BFGS-B").x
    return math.exp(best[0]), best[1:]


def _judge(
    examples: Examples, scores: Floats, truth: Whole, part: Whole, *, undertriage: float, least: float
) -> Report:
    """Calibration and threshold of each part from the others."""
    classes, ordered = len(examples.classes), FIELDS[examples.about] is not None
    chances, given = np.zeros(scores.shape), np.zeros(len(truth), np.int64)
    for one in range(FOLDS):
        rest, held = part != one, part == one
        sharpness, offset = _calibration(scores[rest], truth[rest])
        chances[held] = chances_of(sharpness * scores[held] + offset)
        if ordered:
            own = at_least(chances_of(sharpness * scores[rest] + offset))
            given[held] = highest(at_least(chances[held]), threshold(own, truth[rest], undertriage))
    likeliest, confidence = np.argmax(chances, axis=1), chances.max(axis=1)
    right = likeliest == truth
    matrix = confusion(truth, likeliest, classes)
    found: Coverage | Rates = coverage(confidence, right, least)
    if ordered:
        least, found = threshold(at_least(chances), truth, undertriage), rates_of(truth, given, classes)
        matrix = confusion(truth, given, classes)
    of_class = by_class(matrix)
    return Report(
        about=examples.about,
        rows=len(truth),
        labels=dict(zip(examples.classes, of_class, strict=True)),
        macro_f1=macro_f1(matrix),
        accuracy=float(np.trace(matrix) / len(truth)),
        ece=calibration_error(confidence, right),
        confusions=_confusions(matrix, examples.classes),
        coverage=[coverage(confidence, right, at) for at in COVERAGES],
        least=least,
        found=found,
        undertriage=undertriage if ordered else None,
        majority=float(np.bincount(truth).max() / len(truth)),
    )


def threshold(needed: Floats, truth: Whole, undertriage: float) -> float:
    """How likely a label has to be needed, at most, for no more than ``undertriage`` of the texts to get less than they
    need; to three digits. Each text is given enough where the chance of its true label reaches the threshold."""
    could = truth > 0
    if not could.any():
        return 1.0
    chances = np.sort(needed[np.arange(len(truth)), truth][could])
    allowed = int(undertriage * len(chances) + 1e-9)
    return 1.0 if allowed >= len(chances) else max(0.001, math.floor(float(chances[allowed]) * 1000) / 1000)


def _confusions(matrix: Whole, classes: Sequence[str]) -> list[Confusion]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    largest = np.argsort(-wrong, axis=None, kind="stable")[:8]
    pairs_ = [divmod(int(at), len(classes)) for at in largest if wrong.flat[at]]
    rows = matrix.sum(axis=1)
    return [Confusion(classes[t], classes[g], int(wrong[t, g]), float(wrong[t, g] / rows[t])) for t, g in pairs_]
