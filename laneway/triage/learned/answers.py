"""How likely an answer is good, and how likely a further model's would be: from the answer and the prompt.

For each model whose answers were seen: the TF-IDF of the answer's words and pairs, that of the prompt's, the answer's
traits and the task's type, weighed once for each model of the table, and calibrated (Platt, 1999).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.errors import ConfigError
from laneway.triage.learned.files import ModelFile, load
from laneway.triage.learned.traits import TRAITS, read, traits
from laneway.triage.learned.vectors import Vocabulary

KIND = "answers"
FURTHEST = 4.0  # standard deviations: how far a trait counts

Floats = NDArray[np.float32]


class Verdict(NamedTuple):
    """``good``: how likely the answer is good; ``better``: how likely the further model's would be. It goes on where
    the second is more than ``margin`` above the first."""

    good: float
    better: float
    margin: float

    @property
    def goes_on(self) -> bool:
        return self.better - self.good > self.margin


class Weights(NamedTuple):
    """Of one model's answers. Each weight has a column for each model of the table."""

    answers: Vocabulary
    prompts: Vocabulary
    of_answer: Floats
    of_prompt: Floats
    of_traits: Floats  # of the standardised traits
    of_type: Floats
    mean: Floats  # of the traits …
    scale: Floats  # … and what they are divided by
    bias: Floats
    slope: Floats  # calibration: the logit is slope · score + offset
    offset: Floats

    def scores(self, prompts: Sequence[str], answers: Sequence[str], types: Sequence[int | None]) -> Floats:
        """(answers, models): uncalibrated logits. Of texts as they were ``read``."""
        found: Floats = self.answers.rows(answers).times(self.of_answer) + self.bias
        found += self.prompts.rows(prompts).times(self.of_prompt)
        found += self.standardised([traits(*pair) for pair in zip(prompts, answers, strict=True)]) @ self.of_traits
        for row, type_ in enumerate(types):
            if type_ is not None:
                found[row] += self.of_type[type_]
        return found

    def standardised(self, rows: Sequence[Sequence[float]]) -> Floats:
        return standardised(rows, self.mean, self.scale)

    def chances(self, scores: Floats) -> Floats:
        chances: Floats = 1.0 / (1.0 + np.exp(-np.clip(self.slope * scores + self.offset, -30.0, 30.0)))
        return chances


def standardised(rows: Sequence[Sequence[float]], mean: Floats, scale: Floats) -> Floats:
    found: Floats = np.clip((np.asarray(rows, np.float32) - mean) / scale, -FURTHEST, FURTHEST)
    return found


class AnswerModel:
    """A file of kind ``answers``. Raises ConfigError where it does not fit together."""

    def __init__(self, file: ModelFile) -> None:
        self.id = file.id
        self.header = file.header
        try:
            self.models: tuple[str, ...] = tuple(file.header["models"])
            self.types: dict[str, int] = {name: at for at, name in enumerate(file.header["types"])}
            if tuple(file.header["traits"]) != TRAITS:
                raise ConfigError("it looks at other traits of answers than this Laneway", hint="train it again")
            self._judges = {
                judge["model"]: _weights(judge, file.arrays, at) for at, judge in enumerate(file.header["judges"])
            }
            self._margins: dict[str, dict[str, float]] = {
                judge["model"]: judge["margins"] for judge in file.header["judges"]
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"it is no whole model of answers: {error!r}", hint="train it again") from None

    @classmethod
    def load(cls, path: Path) -> AnswerModel:
        return cls(load(path, KIND))

    @property
    def judged(self) -> tuple[str, ...]:
        """The models whose answers it knows."""
        return tuple(self._judges)

    def knows(self, model: str, further: str, type: str) -> bool:
        """Whether it can say something of an answer: it was trained on the model's, and knows the further model. Where
        it was trained on types, other types are unlike anything that it has seen."""
        return further in self._margins.get(model, ()) and (not self.types or type in self.types)

    def judge(self, model: str, further: str, type: str, prompt: str, answer: str) -> Verdict | None:
        """None where it cannot say."""
        if not self.knows(model, further, type):
            return None
        weights = self._judges[model]
        (chances,) = weights.chances(weights.scores([read(prompt)], [read(answer)], [self.types.get(type)]))
        good, better = (float(chances[self.models.index(name)]) for name in (model, further))
        return Verdict(good, better, self._margins[model][further])


def _weights(judge: Any, arrays: Any, at: int) -> Weights:
    own = {name: arrays[f"{at}/{name}"] for name in (*Weights._fields[2:], "answer_idf", "prompt_idf")}
    terms, prompt_terms = judge["terms"], judge["prompt_terms"]
    models = own["bias"].shape[0]
    for name, rows in (("of_answer", len(terms)), ("of_prompt", len(prompt_terms)), ("of_traits", len(TRAITS))):
        if own[name].shape != (rows, models):
            raise ValueError(f"{name} is of another size")
    answers, prompts = Vocabulary(terms, own.pop("answer_idf")), Vocabulary(prompt_terms, own.pop("prompt_idf"))
    return Weights(answers, prompts, **own)
