"""Category, urgency or complexity of a text: the label, how likely it is right, and the words that spoke for it.

A multinomial logistic regression on TF-IDF rows, calibrated. Of categories the likeliest is found, where it is likely
enough. Of urgencies and complexities, which have an order, the highest that is not too unlikely to be needed: to be
given too little harms more than to be given too much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.errors import ConfigError
from laneway.triage.learned.files import ModelFile
from laneway.triage.learned.texts import SHAPE, shape
from laneway.triage.learned.vectors import Rows, Vocabulary

KINDS = ("category", "urgency", "complexity")  # of model files
AT_ONCE = 1_000  # texts whose rows are held in memory together
STEP = 0.05  # of a confidence that is told: routes that say the same are one
MOST_WORDS = 2  # told of a category; of what has an order, one: every further one makes more routes
LONGEST_LABEL = 200  # characters
CLOSEST = 1e-4  # to 0 and 1, of a chance that is calibrated

Floats = NDArray[np.float32]


class Found(NamedTuple):
    """``confidence``: how likely the label is right or, where labels have an order, that at least this one is needed;
    in steps of 0.05, rounded down. ``words``: what of the text is typical of the label."""

    label: str
    confidence: float
    words: tuple[str, ...]


class Weights(NamedTuple):
    """A column for each label. ``beta``: how a softmax of what they come to is calibrated (``chances_of``)."""

    of_terms: Floats
    of_shape: Floats
    intercept: Floats
    shape_mean: Floats
    shape_spread: Floats
    beta: Floats

    def scores(self, rows: Rows, texts: Sequence[str]) -> Floats:
        found: Floats = rows.times(self.of_terms) + self.intercept
        if len(self.of_shape):
            found += standardised([shape(text) for text in texts], self.shape_mean, self.shape_spread) @ self.of_shape
        return found


def standardised(shapes: Sequence[Sequence[float]], mean: Floats, spread: Floats) -> Floats:
    found: Floats = (np.log1p(np.array(shapes, np.float32)) - mean) / spread
    return np.clip(found, -3.0, 3.0)


def softmax(scores: NDArray[Any]) -> NDArray[np.float64]:
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def chances_of(scores: NDArray[Any], beta: NDArray[Any]) -> NDArray[np.float64]:
    """How likely each label is right. The likeliest's chance p becomes that of the logit a·ln p − b·ln(1 − p) + c (Kull
    et al., "Beta calibration", 2017), though none below the others'; these share what is left as they did."""
    chances = softmax(scores)
    rows, best = np.arange(len(chances)), np.argmax(chances, axis=1)
    was = chances[rows, best]
    if chances.shape[1] < 2:
        return chances
    others = np.sort(chances, axis=1)[:, -2] / np.maximum(1.0 - was, 1e-12)  # the second's part of what is left
    now = np.maximum(calibrated(was, beta), others / (1.0 + others))
    chances *= ((1.0 - now) / np.maximum(1.0 - was, 1e-12))[:, None]
    chances[rows, best] = now
    return chances


def calibrated(chance: NDArray[np.float64], beta: NDArray[Any]) -> NDArray[np.float64]:
    bounded = np.clip(chance, CLOSEST, 1.0 - CLOSEST)
    logit = beta[0] * np.log(bounded) - beta[1] * np.log1p(-bounded) + beta[2]
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0))))


def at_least(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely each label or a higher one is needed; labels rise from left to right."""
    return np.minimum(1.0, np.cumsum(chances[:, ::-1], axis=1)[:, ::-1])


def highest(needed: NDArray[np.float64], least: float) -> NDArray[np.int64]:
    """The highest label that is needed with a chance of ``least`` or more."""
    last = needed.shape[1] - 1
    return np.asarray(last - np.argmax(needed[:, ::-1] >= min(least, 1.0 - 1e-9), axis=1), np.int64)


class LabelModel:
    """A file of one of KINDS. Raises ConfigError where it does not fit together."""

    def __init__(self, file: ModelFile) -> None:
        header, arrays = file.header, file.arrays
        self.id, self.kind, self.header = file.id, file.kind, header
        try:
            self.labels: tuple[str, ...] = tuple(map(str, header["labels"]))
            self.ordered = bool(header["ordered"])
            self.least = float(header["least"])
            self._vocabulary = Vocabulary(header["terms"], arrays["idf"].astype(np.float32))
            self._weights = Weights(*(arrays[name].astype(np.float32) for name in Weights._fields))
            self._typical, self._rank = _typical(arrays["typical"], len(self._vocabulary.terms))
            self._check()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise ConfigError(f"it is no whole model of {file.kind}: {error!r}", hint="train it again") from None

    def _check(self) -> None:
        weights, terms, labels = self._weights, len(self._vocabulary.terms), len(self.labels)
        sizes = {
            "idf": (self._vocabulary.idf.shape, (terms,)),
            "of_terms": (weights.of_terms.shape, (terms, labels)),
            "intercept": (weights.intercept.shape, (labels,)),
            "beta": (weights.beta.shape, (3,)),
            "of_shape": (weights.of_shape.shape, ((len(SHAPE) if len(weights.of_shape) else 0), labels)),
        }
        for name, (real, wanted) in sizes.items():
            if real != wanted:
                raise ValueError(f"{name} is of another size")
        if not all(isinstance(term, str) for term in self._vocabulary.terms):
            raise ValueError("a term is no text")
        if not labels or not all(0 < len(label) <= LONGEST_LABEL for label in self.labels):
            raise ValueError("a label is empty or too long")
        if not all(np.isfinite(array).all() for array in (*weights, self._vocabulary.idf)):
            raise ValueError("a weight is no number")

    def find(self, texts: Sequence[str]) -> list[Found | None]:
        """None where it abstains: not sure enough, or no word of the text known."""
        found: list[Found | None] = []
        for start in range(0, len(texts), AT_ONCE):
            found += self._find(texts[start : start + AT_ONCE])
        return found

    def chances(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """How likely each label is right, for each text."""
        found = [np.zeros((0, len(self.labels)))]
        for start in range(0, len(texts), AT_ONCE):
            some = texts[start : start + AT_ONCE]
            found.append(chances_of(self._weights.scores(self._vocabulary.rows(some), some), self._weights.beta))
        return np.concatenate(found)

    def _find(self, texts: Sequence[str]) -> list[Found | None]:
        rows = self._vocabulary.rows(texts)
        chances = chances_of(self._weights.scores(rows, texts), self._weights.beta)
        if self.ordered:
            chances = at_least(chances)
            label = highest(chances, self.least)
        else:
            label = np.argmax(chances, axis=1)
        confidence = chances[np.arange(len(texts)), label]
        sure = (rows.indptr[:-1] < rows.indptr[1:]) & (self.ordered | (confidence >= self.least))
        words = self._words(rows, label)
        return [
            Found(self.labels[one], _told(float(chance)), words[row]) if is_sure else None
            for row, (one, chance, is_sure) in enumerate(zip(label, confidence, sure, strict=True))
        ]

    def _words(self, rows: Rows, label: NDArray[np.int64]) -> list[tuple[str, ...]]:
        """Of each text the words that are most typical of its label. Only those that the file names: any word would
        make a route of its own of nearly every task."""
        row = np.repeat(np.arange(len(label)), np.diff(rows.indptr))
        key = label[row] * len(self._vocabulary.terms) + rows.indices
        at = np.minimum(np.searchsorted(self._typical, key), max(0, len(self._typical) - 1))
        hits = np.flatnonzero(self._typical[at] == key) if len(self._typical) else np.array([], np.int64)
        found: list[list[tuple[int, int]]] = [[] for _ in label]
        for hit in hits.tolist():
            found[row[hit]].append((int(self._rank[at[hit]]), int(rows.indices[hit])))
        most = 1 if self.ordered else MOST_WORDS
        return [tuple(self._vocabulary.terms[term] for _, term in sorted(one)[:most]) for one in found]


def _told(chance: float) -> float:
    return round(math.floor(chance / STEP + 1e-6) * STEP, 2)


def _typical(typical: NDArray[Any], terms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``typical``: for each label the numbers of its most typical terms, −1 where there are no more. → sorted keys of
    (label, term) and the rank of each."""
    labels, ranks = np.nonzero(typical >= 0)
    keys = labels * terms + typical[labels, ranks].astype(np.int64)
    order = np.argsort(keys)
    return keys[order], ranks[order]
