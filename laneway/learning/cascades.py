"""Judging a model of answers on rows that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from laneway.learning.answers import FOLDS, Answered, known_rows, train
from laneway.triage.learned.answers import KIND, AnswerModel
from laneway.triage.learned.files import ModelFile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """Of one model's answers, each judged by a file that was trained without it. ``gain``: what the further model is
    expected to do better; ``goes_on``: whether the file would have sent it on."""

    model: str
    further: str
    gain: Floats
    goes_on: NDArray[np.bool_]
    own: Floats  # quality
    better: Floats  # quality of the further model

    @property
    def escalated(self) -> float:
        return float(self.goes_on.mean())

    @property
    def kept(self) -> float:
        """Quality of what is kept, of the further model's."""
        return float(np.where(self.goes_on, self.better, self.own).mean() / max(1e-9, self.better.mean()))


def judge(table: Answered, model: str, further: str, *, floor: float = 0.98, seed: int = 0) -> Judged:
    """Five-fold: thresholds, too, come from the other folds. Raises InputError where there are too few rows."""
    own = table.take(known_rows(table, model))
    rows = np.random.default_rng(seed).permutation(len(own.prompts))
    gain, goes_on = np.zeros(len(rows)), np.zeros(len(rows), bool)
    for fold in range(FOLDS):
        held = np.sort(rows[fold::FOLDS])
        rest = np.setdiff1d(rows, held)
        trained = train(own.take(rest), floor=floor, seed=seed)
        file = AnswerModel(ModelFile(KIND, trained.header, trained.arrays))
        for row in held:
            type_ = own.types[row] if own.types else ""
            verdict = file.judge(model, further, type_, own.prompts[row], own.answers[model][row] or "")
            if verdict is not None:
                gain[row], goes_on[row] = verdict.better - verdict.good, verdict.goes_on
    return Judged(model, further, gain, goes_on, own.quality[model], own.quality[further])
