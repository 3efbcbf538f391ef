"""Labels are learnt, judged on what was not seen, and found by the file alone."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.learning.examples import Examples
from laneway.learning.labels import threshold, train
from laneway.learning.metrics import Coverage, Rates, calibration_error, rates
from laneway.learning.splits import folds
from laneway.triage.learned.files import load
from laneway.triage.learned.labels import LabelModel, at_least, highest
from tests.learning.letters import PRESSING, letters


def examples(rows: list[tuple[str, str]], about: str = "category", classes: list[str] | None = None) -> Examples:
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    return Examples(about, texts, labels, classes or sorted(set(labels)), {})


def test_what_is_clear_is_learnt_and_the_file_finds_it(tmp_path: Path) -> None:
    trained = train(examples(letters(240)))
    assert trained.report.macro_f1 > 0.95
    trained.write(tmp_path / "m.npz")
    model = LabelModel(load(tmp_path / "m.npz", "category"))
    found = model.find(["the courier has lost my parcel", "", "zzz", "my invoice and the refund"])
    assert [one and one.label for one in found] == ["delivery", None, None, "billing"]
    assert found[0] is not None
    assert set(found[0].words) <= {"courier", "parcel"}
    assert found[0].words
    assert round(found[0].confidence / 0.05, 6).is_integer()


def test_labels_that_say_nothing_are_not_claimed_to_be_learnt() -> None:
    report = train(examples(letters(300, wrong=1.0))).report
    assert report.accuracy < 0.5
    assert report.ece < 0.15
    assert isinstance(report.found, Coverage)
    assert report.found.share < 0.3, "it abstains"
    assert report.useless
    assert not train(examples(letters(90))).report.useless


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    ids = [train(examples(letters(90)), seed=seed).write(tmp_path / f"{n}.npz").id for n, seed in enumerate((0, 0, 1))]
    assert ids[0] == ids[1]
    assert ids[2] != ids[0], "the seed is in the file"


def test_undertriage_stays_near_what_is_stated() -> None:
    rows = letters(900, of=PRESSING, wrong=0.2)
    classes = ["relaxed", "standard", "urgent"]
    loose, strict = (train(examples(rows, "urgency", classes), undertriage=under).report for under in (0.2, 0.02))
    assert isinstance(loose.found, Rates)
    assert isinstance(strict.found, Rates)
    assert strict.found.under == pytest.approx(0.02, abs=0.02)
    assert strict.found.under < loose.found.under < 0.2
    assert strict.found.over > loose.found.over, "to be safe has its price"
    assert loose.least == 0.5, "what is more likely needed than not is given"


def test_rare_labels_are_found_as_well() -> None:
    rng = random.Random(3)
    rows = [row for row in letters(600) if row[1] != "account" or rng.random() < 0.1]
    assert 10 < sum(label == "account" for _, label in rows) < 40
    assert train(examples(rows)).report.labels["account"].recall > 0.8


@pytest.mark.parametrize(
    "text", ["我的账户被锁定了", "حسابي مغلق", "🔥" * 50, "\0\0", "a" * 1_000_000, "word " * 200_000]
)
def test_odd_texts_are_no_trouble(tmp_path: Path, text: str) -> None:
    rows = [*letters(60), *[(f"{text} {n}", "odd") for n in range(10)]]
    train(examples(rows)).write(tmp_path / "m.npz")
    assert len(LabelModel(load(tmp_path / "m.npz")).find([text, "parcel", text])) == 3


def test_five_short_texts_of_two_labels_are_enough() -> None:
    rows = [(f"{word} {letter}", word) for word in ("yes", "no") for letter in "abcde"]
    assert train(examples(rows)).report.rows == 10


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), min_size=5, max_size=60))
def test_equal_texts_stand_in_one_part(rows: list[tuple[str, str]]) -> None:
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    part = folds(texts, labels, 5, 0)
    assert len(part) == len(rows)
    assert all(len({part[row] for row, own in enumerate(texts) if own == text}) == 1 for text in texts)


@given(st.integers(2, 4), st.integers(1, 200), st.floats(0, 0.5), st.integers(0, 9))
def test_a_threshold_keeps_its_promise_on_the_rows_it_comes_from(k: int, n: int, under: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    needed, truth = at_least(rng.dirichlet(np.ones(k), n)), rng.integers(0, k, n)
    least = threshold(needed, truth, under)
    assert rates(truth, highest(needed, least), k).under <= under + 1e-9 or least == 0.001


def test_calibration_error_is_the_gap_between_word_and_deed() -> None:
    assert calibration_error(np.full(10, 0.9), np.arange(10) < 9) == pytest.approx(0.0)
    assert calibration_error(np.full(10, 0.9), np.arange(10) < 4) == pytest.approx(0.5)
