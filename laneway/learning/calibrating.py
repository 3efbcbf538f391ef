"""Making chances of scores, so that of all that is said with 0.8, eight in ten are right."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.triage.learned.labels import CLOSEST, calibrated, chances_of, softmax

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class Calibration(NamedTuple):
    """Sharpness and each label's offset: a softmax of ``sharpness · scores + offset`` is about as likely right as it
    says (temperature and vector scaling, Guo et al., 2017); ``beta``: the rest (``chances_of``)."""

    sharpness: float
    offset: Floats
    beta: Floats

    @classmethod
    def of(cls, scores: Floats, truth: Whole) -> Calibration:
        sharpness, offset = _scaling(scores, truth)
        chances = softmax(sharpness * scores + offset)
        return cls(sharpness, offset, _beta(chances.max(axis=1), chances.argmax(axis=1) == truth))

    def chances(self, scores: Floats) -> Floats:
        return chances_of(self.sharpness * scores + self.offset, self.beta)


def _scaling(scores: Floats, truth: Whole) -> tuple[float, Floats]:
    from scipy.optimize import minimize

    n, classes = scores.shape
    rows = np.arange(n)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        sharpness, offset = math.exp(parameters[0]), parameters[1:]
        chances = softmax(sharpness * scores + offset)
        gap = chances.copy()
        gap[rows, truth] -= 1.0
        slope = np.concatenate([[float((gap * scores).sum()) * sharpness], gap.sum(axis=0)]) + 2.0 * parameters
        value = -float(np.log(np.maximum(chances[rows, truth], 1e-12)).sum()) + float((parameters**2).sum())
        return value / n, slope / n

    best = minimize(loss, np.zeros(classes + 1), jac=True, method="L-BFGS-B").x
    return math.exp(best[0]), best[1:]


def _beta(confidence: Floats, right: NDArray[np.bool_]) -> Floats:
    """Held near (1, 1, 0), which changes nothing, by as much as a few rows weigh."""
    from scipy.optimize import minimize

    bounded = np.clip(confidence, CLOSEST, 1.0 - CLOSEST)
    features = np.stack([np.log(bounded), -np.log1p(-bounded), np.ones(len(bounded))], axis=1)
    start = np.array([1.0, 1.0, 0.0])

    def loss(beta: Floats) -> tuple[float, Floats]:
        logit = features @ beta
        value = float((np.logaddexp(0.0, logit) - right * logit).sum() + ((beta - start) ** 2).sum())
        return value, features.T @ (calibrated(confidence, beta) - right) + 2.0 * (beta - start)

    bounds = [(0.0, None), (0.0, None), (None, None)]  # a higher chance stays a higher one
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)
