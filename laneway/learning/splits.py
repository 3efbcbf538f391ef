"""Parts of a table for cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


def folds(texts: Sequence[str], labels: Sequence[str], n: int, seed: int) -> Whole:
    """For each row the number of its part, 0 to n − 1. Every part has its share of each label, and equal texts stand in
    one part: else a text would be judged by itself."""
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(text, row)
    owners = np.array([*first.values()], np.int64)
    shuffled = np.random.default_rng(seed).permutation(owners)
    order = np.argsort(np.array([labels[row] for row in shuffled]), kind="stable")
    part = np.empty(len(texts), np.int64)
    part[shuffled[order]] = np.arange(len(owners)) % n
    return part[[first[text] for text in texts]]


def sample(labels: Sequence[str], most: int, seed: int) -> Whole:
    """Rows drawn at random, ``most`` at most, in their order."""
    if len(labels) <= most:
        return np.arange(len(labels))
    return np.sort(np.random.default_rng(seed).choice(len(labels), most, replace=False))
