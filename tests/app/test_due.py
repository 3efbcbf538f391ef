"""Long tasks first, within bounds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laneway.app.due import LONGEST_S, SHIFT, due_at, expected_run_s
from laneway.providers.model import Limits, Model
from laneway.simulator.options import Options
from laneway.task import NewTask
from tests.dispatch.practice import account, practise, prompt

tokens = st.integers(0, 10**7)


@settings(deadline=None)
@given(tokens, tokens, st.sampled_from([0.0, 60.0, 600.0, 14_400.0]))
def test_no_task_is_early_or_late_by_more_than_a_hundredth(read: int, written: int, target_wait: float) -> None:
    due = due_at(1000.0, target_wait, None, read, written)
    assert (1 - SHIFT) * target_wait - 1e-6 <= due - 1000.0 <= target_wait


@settings(deadline=None)
@given(tokens, tokens, tokens)
def test_a_longer_one_is_never_due_later(read: int, written: int, more: int) -> None:
    assert due_at(0.0, 600.0, None, read, written + more) <= due_at(0.0, 600.0, None, read, written)


def test_what_has_no_size_has_no_shift() -> None:
    assert due_at(1000.0, 600.0, None, 0, 0) == 1600.0
    assert expected_run_s(10**9, 10**9) == LONGEST_S


def test_about_as_long_keeps_its_order() -> None:
    assert due_at(0.0, 600.0, None, 100, 256) == due_at(0.0, 600.0, None, 180, 250)


def test_one_with_a_deadline_starts_early_enough() -> None:
    assert due_at(1000.0, 600.0, 1100.0, 0, 1600) == pytest.approx(1100 - 32)
    assert due_at(1000.0, 600.0, 9000.0, 0, 1600) > 1590


def makespan(seed: int, *, longest_first: bool) -> float:
    """Seconds for 300 tasks over 30 slots, of widely different lengths: 0.02 s a token."""
    rng = random.Random(seed)

    def task(i: int) -> NewTask:
        length = max(5, min(4000, round(rng.lognormvariate(5, 1.2))))
        due = due_at(0.0, 600.0, None, 100, length) if longest_first else 0.0
        return prompt(str(i), input_tokens=100, max_tokens=length, due=due)

    options = Options(latency=0.2, token_latency=0.02, output_tokens=5000)
    models = [Model("small", "small", (account(limits=Limits(concurrency=30)),), timeout=600.0)]
    return practise([task(i) for i in range(300)], options=options, models=models).seconds


def test_a_run_of_wide_sizes_ends_sooner() -> None:
    shorter = [makespan(seed, longest_first=True) / makespan(seed, longest_first=False) for seed in range(3)]
    assert max(shorter) < 1.0, shorter
    assert sum(shorter) / len(shorter) < 0.85, shorter
