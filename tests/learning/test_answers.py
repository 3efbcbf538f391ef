"""Training the model of answers: reproducible, with margins from rows that were not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.errors import InputError
from laneway.learning.answers import Answered, choose_margin, train
from laneway.learning.cascades import judge
from tests.triage.learned.test_answers import table


def test_the_same_table_gives_the_same_file(tmp_path: Path) -> None:
    one, two = (train(table()).write(tmp_path / name) for name in ("one.npz", "two.npz"))
    assert one.id == two.id
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_the_report_is_of_rows_that_were_not_seen() -> None:
    (found,) = train(table(600)).cascades
    assert (found.model, found.further, found.rows) == ("small", "strong", 600)
    assert found.quality >= 0.98
    assert 0.3 < found.escalated < 0.6, "four in ten are bad, and few look otherwise than they are"


def test_scores_between_0_and_1_count_by_half() -> None:
    halves = table(200)
    halves.quality["small"][:] = np.where(halves.quality["small"] > 0, 0.8, 0.3)
    assert train(halves).cascades[0].rows == 200


def test_a_model_that_is_always_good_needs_no_second_opinion() -> None:
    perfect = table(200, types=())
    perfect.quality["small"][:] = 1.0
    (found,) = train(perfect).cascades
    assert found.escalated == 0


def test_too_few_rows_and_a_lone_model_are_refused() -> None:
    with pytest.raises(InputError, match="too few answers"):
        train(table(20))
    lone = table()
    with pytest.raises(InputError, match="two models"):
        train(Answered(lone.prompts, {"small": lone.quality["small"]}, lone.answers))


def test_rows_whose_quality_is_not_known_are_left_out() -> None:
    gaps = table(200)
    gaps.quality["strong"][:50] = np.nan
    assert train(gaps).cascades[0].rows == 150


ROWS = st.lists(st.tuples(st.floats(-1, 1), st.booleans(), st.booleans()), min_size=1, max_size=80)


@given(ROWS, st.sampled_from([0.9, 0.98, 1.0]))
def test_the_margin_does_what_it_says(rows: list[tuple[float, bool, bool]], floor: float) -> None:
    gain, own, further = (np.array(column, float) for column in zip(*rows, strict=True))
    margin, escalated, quality, _ = choose_margin(gain, own, further, floor)
    goes = gain > margin
    assert margin >= 0.0
    if len(set(gain)) == len(gain) and np.min(np.diff(np.sort(gain)), initial=1.0) > 1e-9:
        assert np.mean(goes) == pytest.approx(escalated)
        if further.any():
            kept = np.where(goes, further, own).mean() / further.mean()
            assert quality == pytest.approx(kept)
            assert quality >= floor - 1e-9 or escalated == np.mean(gain > 0.0)


def test_a_table_is_judged_by_files_that_have_not_seen_the_row() -> None:
    judged = judge(table(300), "small", "strong")
    assert len(judged.gain) == 300
    weak = judged.own < 0.5
    assert judged.gain[weak].mean() > judged.gain[~weak].mean() + 0.5
    assert judged.kept > 0.95
    shuffled = table(300)
    np.random.default_rng(2).shuffle(shuffled.quality["small"])
    blind = judge(shuffled, "small", "strong")
    assert abs(blind.gain[blind.own < 0.5].mean() - blind.gain[blind.own > 0.5].mean()) < 0.1, "nothing to be learnt"
