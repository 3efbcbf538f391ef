"""How good labels are that were given to texts not seen in training.

``truth`` and ``given`` are numbers of classes; ``chances`` has a row for each text and a column for each class.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

BINS = 15  # of confidence, for the calibration error (Guo et al., "On calibration of modern neural networks", 2017)


class OfClass(NamedTuple):
    rows: int
    precision: float
    recall: float
    f1: float


def confusion(truth: Whole, given: Whole, classes: int) -> Whole:
    """[true class, given class] → rows"""
    return np.bincount(truth * classes + given, minlength=classes * classes).reshape(classes, classes)


def by_class(matrix: Whole) -> list[OfClass]:
    right, true, given = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = right / np.maximum(given, 1), right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(true + given, 1)
    return [
        OfClass(int(n), float(p), float(r), float(f)) for n, p, r, f in zip(true, precision, recall, f1, strict=True)
    ]


def macro_f1(matrix: Whole) -> float:
    return float(np.mean([one.f1 for one in by_class(matrix)]))


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """ECE: how far confidence lies from accuracy, on average over equally wide bins."""
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gap = np.bincount(place, confidence, BINS) - np.bincount(place, right, BINS)
    return float(np.abs(gap).sum() / max(1, len(confidence)))


class Coverage(NamedTuple):
    """What is labelled at this confidence and above: which share of all, and how much of that rightly."""

    confidence: float
    share: float
    accuracy: float | None


def coverage(confidence: Floats, right: NDArray[np.bool_], at: float) -> Coverage:
    kept = confidence >= at
    return Coverage(at, float(kept.mean()), float(right[kept].mean()) if kept.any() else None)


class Rates(NamedTuple):
    """``under``: of those that need more than the lowest class, the share that was given less than it needs. ``over``:
    of those that need less than the highest, the share that was given more."""

    under: float
    over: float


def rates(truth: Whole, given: Whole, classes: int) -> Rates:
    could_under, could_over = truth > 0, truth < classes - 1
    return Rates(
        float((given < truth)[could_under].mean()) if could_under.any() else 0.0,
        float((given > truth)[could_over].mean()) if could_over.any() else 0.0,
    )
