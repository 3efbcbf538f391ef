"""Which model does for a task: the quality to be expected of each, how sure that is, and the choice among them.

A model's quality is a logistic function of the task's words, its shape and its type; what counts is how much worse than
the strongest's it will be (its *loss*), and no more is believed of that than rows not seen in training bore out. A type
that was seldom or never seen makes a loss less sure, and a choice is made by its upper bound.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.errors import ConfigError
from laneway.triage.learned.files import Arrays, ModelFile
from laneway.triage.learned.texts import SHAPE, shape
from laneway.triage.learned.vectors import Vocabulary

KIND = "model"
Z = 0.67  # of the normal distribution: three bounds in four hold
TEXT_WEIGHT, SHAPE_WEIGHT = 1.4, 0.1  # of a row of length 1 and of standardised numbers, beside a type's 1
ODDEST = 3.0  # standard deviations
AT_ONCE = 500  # texts whose parts are held in memory together

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class Expected(NamedTuple):
    """For each task (row) and model (column). ``bound``: by how much its quality may at most lie below the
    strongest's; 0 for the strongest itself, negative where the model will do better."""

    quality: Floats
    bound: Floats


class Choice:
    """A model file, applied. Raises ConfigError for one that lacks a part."""

    def __init__(self, file: ModelFile) -> None:
        header, arrays = file.header, file.arrays
        try:
            self.id = file.id
            self.models: tuple[str, ...] = tuple(header["models"])
            self.strongest: int = self.models.index(header["strongest"])
            self.costs: Floats = np.array(header["costs"], float)  # of a task, in the table's unit
            self.means: Floats = np.array(header["means"], float)  # quality, over all rows that it learnt from
            self.floors: Mapping[str, float | None] = header["floors"]
            self.header = header
            use = header.get("use")  # the advice was to use one model for everything
            self.use: int | None = None if use is None else self.models.index(use)
            self._types = {name: at for at, name in enumerate(header["types"])}
            self._vocabulary = Vocabulary(header["terms"], arrays["idf"])
            self._parts = Parts.of(arrays, len(self.models))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ConfigError(f"the model file lacks a part: {error}", hint="train it again") from None

    def expect(self, texts: Sequence[str], types: Sequence[str | None]) -> Expected:
        """Of tasks with these texts and types; an unknown type is judged as any task is."""
        found = [
            self._expect(texts[at : at + AT_ONCE], types[at : at + AT_ONCE]) for at in range(0, len(texts), AT_ONCE)
        ]
        if not found:
            return Expected(np.zeros((0, len(self.models))), np.zeros((0, len(self.models))))
        return Expected(np.vstack([one.quality for one in found]), np.vstack([one.bound for one in found]))

    def _expect(self, texts: Sequence[str], types: Sequence[str | None]) -> Expected:
        parts = self._parts
        kinds = np.array([self._types.get(kind or "", -1) for kind in types], np.int64)
        scores = self._vocabulary.rows(texts).times(parts.words) * TEXT_WEIGHT + parts.intercept
        scores += parts.standardised(np.array([shape(text) for text in texts])) @ parts.shape
        known = kinds >= 0
        scores[known] += parts.types[kinds[known]]
        return expected(squashed(scores), kinds, self.strongest, parts)

    def rate(self, floor: float) -> float | None:
        """What a floor allows: quality for money (see ``chosen``). None: the strongest for everything."""
        return allowed(self.floors, floor)

    def choose(self, bound: Floats, floor: float, among: Collection[int] | None = None) -> Whole:
        """The model of each task, as its place in ``models``: of all, or ``among`` those that can take it."""
        if self.use is not None and (among is None or self.use in among):
            return np.full(len(bound), self.use, np.int64)
        return chosen(bound, self.costs, self.rate(floor), self.strongest, among)

    def ranked(self, bound: Floats, floor: float, among: Sequence[int]) -> Whole:
        """For each task the places of these models, the one to take first, then what to take where it cannot be had."""
        models = np.array(sorted(among, key=lambda model: self.costs[model]), np.int64)
        rate = self.rate(floor)
        worth = bound[:, models] + (rate or 0.0) * self.costs[models]
        first = self.strongest if rate is None and self.use is None else self.use
        if first is not None:
            worth[:, models == first] = -np.inf
        return np.asarray(models[np.argsort(worth, axis=1, kind="stable")])

    def stronger(self, model: int) -> list[int]:
        """Models that are better on the whole, the next one first."""
        return [int(one) for one in np.argsort(self.means, kind="stable") if self.means[one] > self.means[model]]


def allowed(floors: Mapping[str, float | None], floor: float) -> float | None:
    """The rate of a floor; one that training did not look at is held as the next higher one."""
    known = sorted(map(float, floors))
    at = bisect.bisect_left(known, floor - 1e-9)
    return None if at == len(known) else floors[f"{known[at]:.3f}"]


class Parts(NamedTuple):
    """The arrays of a model file; columns are models."""

    words: NDArray[np.float32]  # (terms, models)
    shape: Floats  # (numbers of SHAPE, models)
    types: Floats  # (types, models)
    intercept: Floats
    shape_mean: Floats
    shape_spread: Floats
    shift: (
        Floats  # a loss that is believed: shift + slope · (what the two logistic models say) + common · (what all say)
    )
    slope: Floats
    common: Floats
    type_rows: Floats  # (types,) how often each was seen
    spread: Floats  # (models,) of losses between types, and
    noise: Floats  # (models,) of a single task's: standard deviations

    @classmethod
    def of(cls, arrays: Arrays, models: int) -> Parts:
        found = cls(*(arrays[name] for name in cls._fields))
        per_model = (found.words, found.shape, found.types, found.intercept, found.shift, found.slope, found.common)
        if any(array.shape[-1] != models for array in per_model) or found.shape.shape[0] != len(SHAPE):
            raise ValueError("its arrays do not fit together")
        return found

    def standardised(self, shapes: Floats) -> Floats:
        """Of shapes as ``texts.shape`` gives them; one unlike any seen counts as the oddest of those."""
        standard = (np.log1p(shapes) - self.shape_mean) / self.shape_spread
        return np.asarray(np.clip(standard, -ODDEST, ODDEST) * SHAPE_WEIGHT)


def squashed(scores: NDArray[Any]) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(scores.astype(float), -30.0, 30.0))))


def expected(raw: Floats, kinds: Whole, strongest: int, parts: Parts) -> Expected:
    """From what the logistic models say. ``kinds``: place of each task's type, -1 where it was never seen."""
    said, of_all = said_of(raw, strongest)
    loss = parts.shift + parts.slope * said + parts.common * of_all
    reference = loss[:, strongest].copy()
    loss[:, strongest] = 0.0
    seen = np.zeros((len(raw), 1))
    seen[kinds >= 0, 0] = parts.type_rows[kinds[kinds >= 0]]
    # of a type's own mean, after so many of its tasks, where types differ by ``spread``: its variance a posteriori
    between, within = parts.spread**2, np.maximum(parts.noise**2, 1e-12)
    error = np.sqrt(between * within / (within + seen * between))
    error[:, strongest] = 0.0
    return Expected(np.clip(reference[:, None] - loss, 0.0, 1.0), loss + Z * error)


def said_of(raw: Floats, strongest: int) -> tuple[Floats, Floats]:
    """What the logistic models say of each loss, and of all models' quality together: how easy the task is. In the
    strongest's column stands its quality."""
    said = raw[:, [strongest]] - raw
    said[:, strongest] = raw[:, strongest]
    return said, raw.mean(axis=1, keepdims=True)


def chosen(
    bound: Floats, costs: Floats, rate: float | None, strongest: int, among: Collection[int] | None = None
) -> Whole:
    """For each task the model with the least of ``bound + rate · cost``: at a rate of 0 the best, and the higher the
    rate, the more quality is given for money. No other way of choosing gives more for the same money, if the bounds are
    right. Of equals, the cheaper."""
    if rate is None:
        if among is None or strongest in among:
            return np.full(len(bound), strongest, np.int64)
        rate = 0.0
    allowed = sorted(range(len(costs)) if among is None else among, key=lambda model: costs[model])
    worth = bound[:, allowed] + rate * costs[allowed]
    return np.asarray(np.array(allowed, np.int64)[np.argmin(worth, axis=1)])
