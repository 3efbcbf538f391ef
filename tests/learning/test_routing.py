"""Figures of a router, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.learning import routing


def test_a_perfect_order_closes_the_gap_with_the_calls_that_need_it() -> None:
    gain = np.array([1.0, 1.0, 0.0, 0.0])
    found = routing.Ranked(np.array([4.0, 3.0, 2.0, 1.0]), gain).recovered()
    assert found.apgr == pytest.approx(0.75)  # 0, .5, 1, 1, 1 over quarters
    assert [found.cpt50, found.cpt80] == pytest.approx([0.25, 0.4])


def test_equal_scores_are_chance() -> None:
    found = routing.Ranked(np.zeros(4), np.array([1.0, -1.0, 1.0, 1.0])).recovered()
    assert list(found) == pytest.approx([0.5, 0.5, 0.8])


def test_without_a_gap_there_is_nothing_to_recover() -> None:
    assert np.isnan(routing.Ranked(np.arange(3.0), np.zeros(3)).recovered()).all()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 1)), min_size=2, max_size=30))
def test_an_order_and_its_reverse_are_as_far_from_chance(pairs: list[tuple[int, int]]) -> None:
    score, gain = np.array(pairs, float).T
    if gain.sum() <= 0:
        return
    there, back = (routing.Ranked(sign * score, gain).recovered().apgr for sign in (1, -1))
    assert there + back == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 1)), min_size=2, max_size=30))
def test_weights_are_repeated_tasks(pairs: list[tuple[int, int]]) -> None:
    score, gain = np.array(pairs, float).T
    if gain.sum() <= 0:
        return
    twice = routing.Ranked(score, gain).recovered(np.full(len(gain), 2.0))
    assert twice == pytest.approx(routing.Ranked(score, gain).recovered())


def test_models_drawn_at_random_cost_what_lies_between_them() -> None:
    costs, qualities = np.array([0.0, 1.0, 2.0]), np.array([0.4, 0.45, 0.8])  # the middle one is worth no money
    assert routing.mixed(costs, qualities, np.array([0.0, 1.0, 2.0])) == pytest.approx([0.4, 0.6, 0.8])
    assert routing.mixed_cost(costs, qualities, 0.6) == pytest.approx(1.0)


def test_aiq_is_the_mean_quality_over_budgets() -> None:
    assert routing.aiq(np.array([0.0, 1.0]), np.array([0.5, 1.0]), 0.0, 1.0) == pytest.approx(0.75)
    assert routing.aiq(np.array([0.0, 0.5, 1.0]), np.array([0.5, 1.0, 0.2]), 0.0, 1.0) == pytest.approx(0.875)


def test_undertriage_and_overtriage() -> None:
    quality = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    costs = np.array([1.0, 10.0])
    found = routing.triaged(quality, costs, 1, np.array([0, 1, 1, 0, 1]))
    assert found.under == pytest.approx(1 / 2)  # of two that only the strong one can, one went to the weak one
    assert found.over == pytest.approx(2 / 3)  # of three that need it not, two went to the strong one
