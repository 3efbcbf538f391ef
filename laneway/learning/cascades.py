"""Judging a model of answers on rows that it has not seen, and a table of outcomes with answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laneway.errors import InputError
from laneway.learning.answers import FOLDS, Answered, known_rows, train
from laneway.triage.learned.answers import KIND, AnswerModel
from laneway.triage.learned.files import ModelFile

ANSWER = "answer:"
MOST_ROWS = 3_000  # that a judgement is made of: each is judged by one of five files

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


def judge(
    table: Answered, model: str, further: str, *, floor: float = 0.98, seed: int = 0, most: int = MOST_ROWS
) -> Judged:
    """Five-fold: thresholds, too, come from the other folds. Of more than ``most`` rows some are drawn. Raises
    InputError where there are too few."""
    known = np.array(known_rows(table, model), np.int64)
    if len(known) > most:
        known = np.sort(np.random.default_rng(seed).choice(known, most, replace=False))
    own = replace(table, answers={model: table.answers[model]}).take(known)
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


def answered(rows: Iterable[Mapping[str, Any]], *, name: str = "the table", text: str | None = None) -> Answered:
    """A table of outcomes (see ``outcomes``) with at least one column ``answer:NAME``; rows that do not say of every
    model how good it was are left out. Raises InputError."""
    from laneway.learning.outcomes import QUALITY, outcomes

    records = list(rows)
    columns = list(dict.fromkeys(column for record in records for column in record))
    models = [column.removeprefix(QUALITY).strip() for column in columns if column.startswith(QUALITY)]
    with_answers = [model for model in models if ANSWER + model in columns]
    if not with_answers:
        raise InputError(
            f"{name} has no answers to learn from",
            hint="a column answer:NAME beside quality:NAME holds what the model NAME answered",
        )
    kept = [row for row in records if all(_filled(row.get(QUALITY + model)) for model in models)]
    table = outcomes(kept, name=name, text=text, stated=dict.fromkeys(models, 1.0))  # costs are not looked at
    quality = {model: table.quality[:, at] for at, model in enumerate(table.models)}
    answers = {model: [_text(row.get(ANSWER + model)) for row in kept] for model in with_answers}
    types = [type_ or "" for type_ in table.types] if any(table.types) else ()
    return Answered(table.texts, quality, answers, types)


def has_answers(columns: Iterable[str]) -> bool:
    return any(column.startswith(ANSWER) for column in columns)


def _filled(value: Any) -> bool:
    return value is not None and str(value).strip() != ""


def _text(value: Any) -> str | None:
    return str(value) if _filled(value) else None
