"""What of an answer counts, and what a file of answers says of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from laneway.errors import ConfigError
from laneway.learning.answers import Answered, train
from laneway.triage.learned import files
from laneway.triage.learned.answers import AnswerModel
from laneway.triage.learned.sums import sums, value
from laneway.triage.learned.traits import TRAITS, read, traits


@pytest.mark.parametrize(
    ("text", "found", "wrong"),
    [
        ("3 * 4 = 12", 1, 0),
        ("3 x (2 + 2) = $12.00 and 1,000 - 1 = 999", 2, 0),
        ("8 / 3 = 2.67", 1, 0),
        ("2 + 2 * 3 = 12", 1, 1),
        ("12 = 12, x = 3, (2 + = 4, 1/0 = 5", 0, 0),
        ("so 5 apples + 3 pears = 8", 0, 0),
    ],
)
def test_sums_are_found_and_done_again(text: str, found: int, wrong: int) -> None:
    assert sums(text) == (found, wrong)


SUMS = {"2+3*4": 14, "(2+3)*4": 20, "7-2-1": 4, "8/4/2": 1, "4": None, "2+": None, "(2+3": None, "2)+(3": None}


@pytest.mark.parametrize("written", SUMS)
def test_a_sum_has_the_usual_precedence(written: str) -> None:
    assert value(written) == SUMS[written]


def of(prompt: str, answer: str) -> dict[str, float]:
    return dict(zip(TRAITS, traits(read(prompt), read(answer)), strict=True))


def test_traits_tell_an_answer_that_breaks_off_from_one_that_ends() -> None:
    whole = of("Has 3 pens, buys 4. How many?", "She has 3 + 4 = 7 pens.\n#### 7")
    cut = of("Has 3 pens, buys 4. How many?", "She has 3 + ")
    assert (whole["comes to an end"], cut["comes to an end"]) == (1, 0)
    assert (whole["concludes"], cut["concludes"]) == (1, 0)
    assert whole["numbers of the prompt used"] == 1
    assert cut["numbers of the prompt used"] == 0.5
    assert (whole["sums"] > 0, whole["wrong sums"]) == (True, 0)


def test_traits_see_json_refusals_hedges_and_repetition() -> None:
    assert of("", '{"a": 1}')["is JSON"] == 1
    assert of("", '{"a": 1')["is broken JSON"] == 1
    assert of("", "I cannot answer this.")["refuses"] == 1
    assert of("", "Maybe it is about 3, not sure.")["hedges"] > 0
    assert of("", "the same words " * 20)["fresh phrases"] < 0.1


ODD = ["", " ", "\n\n", "٣٤ x ٥ = ١", "9" * 500, "((((" * 100, "1=" * 4000, "\x00\ud800"]


@pytest.mark.parametrize("text", ODD)
def test_no_text_breaks_the_traits(text: str) -> None:
    assert np.isfinite(traits(read(text), read(text))).all()


# a file ---------------------------------------------------------------------------------------------------------------
def table(n: int = 300, types: tuple[str, ...] = ("sum",)) -> Answered:
    """The small model's answers end properly where they are right, nearly always; the strong one is seldom wrong."""
    rng = np.random.default_rng(1)
    good, plain = rng.random(n) < 0.6, rng.random(n) < 0.97
    answers = [
        f"We add the {i % 7} parts. The answer is {i}." if ok == clear else f"We add the {i % 7} parts and then"
        for i, (ok, clear) in enumerate(zip(good, plain, strict=True))
    ]
    strong = rng.random(n) < 0.97
    return Answered(
        [f"Add up {i % 7} parts of {i}." for i in range(n)],
        {"small": good.astype(float), "strong": strong.astype(float)},
        {"small": answers, "strong": [None] * n},
        [types[i % len(types)] for i in range(n)] if types else (),
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("triage") / "answers.npz"
    train(table()).write(made)
    return made


def test_a_weak_answer_goes_on_and_a_good_one_does_not(path: Path) -> None:
    model = AnswerModel.load(path)
    assert model.judged == ("small",)
    good = model.judge("small", "strong", "sum", "Add up 3 parts of 9.", "We add the 3 parts. The answer is 9.")
    weak = model.judge("small", "strong", "sum", "Add up 3 parts of 9.", "We add the 3 parts and then")
    assert good is not None
    assert weak is not None
    assert not good.goes_on
    assert weak.goes_on
    assert good.good > 0.9
    assert weak.good < 0.2


def test_it_says_nothing_of_what_it_has_not_seen(path: Path) -> None:
    model = AnswerModel.load(path)
    assert model.judge("strong", "small", "sum", "", "") is None, "no answers of that model"
    assert model.judge("small", "other", "sum", "", "") is None, "nothing is known of the further model"
    assert model.judge("small", "strong", "letter", "", "") is None, "no such type"
    free = AnswerModel(replace(files.load(path), header={**files.load(path).header, "types": []}))
    assert free.knows("small", "strong", "letter"), "a table without types is about all of them"


def test_a_file_that_does_not_fit_together_is_refused(path: Path, tmp_path: Path) -> None:
    file = files.load(path)
    with pytest.raises(ConfigError, match="answers"):
        AnswerModel(replace(file, arrays={}))
    with pytest.raises(ConfigError, match="another size"):
        AnswerModel(replace(file, arrays={**file.arrays, "0/of_answer": np.zeros((3, 2), np.float32)}))
    with pytest.raises(ConfigError, match="traits"):
        AnswerModel(replace(file, header={**file.header, "traits": ["length"]}))
    files.save(tmp_path / "other.npz", "category", {}, {})
    with pytest.raises(ConfigError, match="decides category"):
        AnswerModel.load(tmp_path / "other.npz")
