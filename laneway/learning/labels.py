"""Training category, urgency or complexity from labelled texts, and judging it on rows that it has not seen.

Five parts: each is labelled by what the other four taught, so every figure of the report, the calibration and the
threshold come from texts that were not seen. The file holds the mean of the five.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.learning.calibrating import Calibration
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
from laneway.triage.learned.labels import at_least, highest, standardised
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
TYPICAL = 12  # words of each label that a finding may name
LEAST = 0.5  # how likely a category has to be right
UNDERTRIAGE = 0.05
MOST_OVERTRIAGE = 0.5  # in emergency rooms 25 to 35 % are accepted
EVEN, LEAST_CHANCE = 0.5, 0.001  # what is more likely needed than not is given, however much undertriage is allowed
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

    @property
    def useless(self) -> bool:
        """Whether it is no better than always saying the commonest label, as far as can be told from so many rows. Of
        ordered labels: whether it gives too much to most."""
        if isinstance(self.found, Rates):
            return self.found.over > MOST_OVERTRIAGE
        return self.accuracy < self.majority + 2.0 * math.sqrt(self.majority * (1.0 - self.majority) / self.rows)


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
    known = vocabulary(texts, min(MOST_TERMS, MOST_WEIGHTS // classes))
    features, mean, spread = _features(known, texts, ordered)
    scores, columns, intercept = _cross_fit(features, truth, part, classes)
    report = _judge(examples, scores, truth, part, undertriage=undertriage, least=least)
    calibration = Calibration.of(scores, truth)
    columns, terms = columns * calibration.sharpness, len(known.terms)
    typical = _typical(known, features[:, :terms], columns[:terms], truth)
    header = {
        "labels": [*examples.classes],
        "ordered": ordered,
        "least": report.least,
        "terms": [*known.terms],
        "rows": len(texts),
        "seed": seed,
        "judged": {"macro_f1": round(report.macro_f1, 4), "ece": round(report.ece, 4)},
    }
    arrays: dict[str, NDArray[Any]] = {
        "idf": known.idf,
        "of_terms": columns[:terms].astype(np.float16),
        "of_shape": (columns[terms:] * SHAPE_WEIGHT).astype(np.float32),
        "shape_mean": mean,
        "shape_spread": spread,
        "intercept": (intercept * calibration.sharpness + calibration.offset).astype(np.float32),
        "beta": calibration.beta.astype(np.float32),
        "typical": typical,
    }
    return Trained(examples.about, header, arrays, report)


# fitting --------------------------------------------------------------------------------------------------------------
def _cross_fit(features: csr_matrix, truth: Whole, part: Whole, classes: int) -> tuple[Floats, Floats, Floats]:
    """Scores of rows that were not seen, and the mean of the parts' weights and intercepts. That is as good as one fit
    to all rows, and as sure of itself as the fits by which it is calibrated."""
    scores, columns = np.zeros((len(truth), classes)), np.zeros((features.shape[1], classes))
    intercept = np.zeros(classes)
    for one in range(FOLDS):
        own, bias = _regression(features[part != one], truth[part != one], classes)
        scores[part == one] = features[part == one] @ own + bias
        columns += own / FOLDS
        intercept += bias / FOLDS
    return scores, columns, intercept


def _features(known: Vocabulary, texts: Sequence[str], ordered: bool) -> tuple[csr_matrix, Weights32, Weights32]:
    """A row of terms for each text, of urgencies and complexities also the text's shape; its mean and spread."""
    from scipy.sparse import csr_matrix, hstack

    rows = known.rows(texts)
    features = csr_matrix((rows.values, rows.indices, rows.indptr), shape=(len(texts), len(known.terms)))
    if not ordered:
        return features, np.zeros(0, np.float32), np.zeros(0, np.float32)
    shapes = [shape(text) for text in texts]
    raw = np.log1p(np.array(shapes, np.float32))
    mean, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-3)
    numbers = SHAPE_WEIGHT * standardised(shapes, mean, spread)
    return hstack([features, csr_matrix(numbers)]).tocsr(), mean, spread


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


def _typical(known: Vocabulary, rows: csr_matrix, columns: Floats, truth: Whole) -> NDArray[np.int32]:
    """For each label the words and pairs that speak for it most, over all its texts. What stands in every fifth text or
    more explains nothing."""
    rare = known.idf > math.log(1.0 / COMMONPLACE) + 1.0
    whole = rare & np.array([term[:1] != "·" and len(term) > 2 for term in known.terms], bool)
    above = columns - columns.mean(axis=1, keepdims=True)
    found = np.full((columns.shape[1], TYPICAL), -1, np.int32)
    for label in range(columns.shape[1]):
        total = np.asarray(rows[truth == label].sum(axis=0)).ravel()
        speaks = np.where(whole, total * above[:, label], 0.0)
        best = np.argsort(-speaks, kind="stable")[:TYPICAL]
        best = best[speaks[best] > 0.0]
        found[label, : len(best)] = best
    return found


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


# judgement ----------------------------------------------------------------------------------------------------------
def _judge(
    examples: Examples, scores: Floats, truth: Whole, part: Whole, *, undertriage: float, least: float
) -> Report:
    """Calibration and threshold of each part from the others."""
    classes, ordered = len(examples.classes), FIELDS[examples.about] is not None
    chances, given = np.zeros(scores.shape), np.zeros(len(truth), np.int64)
    for one in range(FOLDS):
        rest, held = part != one, part == one
        calibration = Calibration.of(scores[rest], truth[rest])
        chances[held] = calibration.chances(scores[held])
        if ordered:
            own = at_least(calibration.chances(scores[rest]))
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
    need; to three digits, and never above EVEN. Each text is given enough where the chance of its true label reaches
    the threshold."""
    could = truth > 0
    if not could.any():
        return EVEN
    chances = np.sort(needed[np.arange(len(truth)), truth][could])
    allowed = int(undertriage * len(chances) + 1e-9)
    return min(EVEN, max(LEAST_CHANCE, math.floor(float(chances[allowed]) * 1000) / 1000))


def _confusions(matrix: Whole, classes: Sequence[str]) -> list[Confusion]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    largest = np.argsort(-wrong, axis=None, kind="stable")[:8]
    pairs_ = [divmod(int(at), len(classes)) for at in largest if wrong.flat[at]]
    rows = matrix.sum(axis=1)
    return [Confusion(classes[t], classes[g], int(wrong[t, g]), float(wrong[t, g] / rows[t])) for t, g in pairs_]
