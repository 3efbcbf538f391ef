"""What earlier calls say of the next ones."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.planning.history import History, Sample
from laneway.store.figures import PastCall
from laneway.task import Outcome, Usage


def call(at: float = 0.0, **more: Any) -> PastCall:
    fields: dict[str, Any] = {
        "model": "small",
        "type": "chat",
        "account": "main",
        "outcome": Outcome.OK,
        "latency": 1.0,
        "input_tokens": 100,
        "usage": Usage(120, 30, 60),
        **more,
    }
    return PastCall(started_at=at, **fields)


def test_means_shares_and_failures_come_from_the_ledger() -> None:
    calls = [call() for _ in range(9)] + [call(outcome=Outcome.TRANSIENT, usage=None)]
    past = History(calls).of("small", "chat")
    assert past is not None
    assert past.input_ratio.mean == pytest.approx(1.2)
    assert past.output_tokens.mean == pytest.approx(30)
    assert past.cached == pytest.approx(0.5)
    assert past.failed == pytest.approx(0.1)
    assert past.calls == 10


def test_too_few_answers_say_nothing() -> None:
    assert History([call() for _ in range(4)]).of("small", "chat") is None
    assert History().of("small", None) is None


def test_a_model_is_known_by_its_other_types_too() -> None:
    history = History([call() for _ in range(5)])
    assert history.of("small", "review") is None
    assert history.of("small", None) is not None
    assert history.of("strong", None) is None


def test_lost_and_paused_calls_say_nothing_of_how_calls_go() -> None:
    calls = [call() for _ in range(5)] + [call(outcome=outcome) for outcome in (Outcome.LOST, Outcome.ACCOUNT)]
    past = History(calls).of("small", "chat")
    assert past is not None
    assert (past.calls, past.failed) == (5, 0.0)


def test_the_most_calls_at_once_are_those_that_overlap() -> None:
    history = History([call(at) for at in (0.0, 0.5, 0.9, 1.5, 3.0)])
    assert history.at_once == {"main": 3}


def test_a_mean_is_the_surer_the_more_calls_it_comes_from() -> None:
    few, many = Sample.of([1.0, 2.0, 3.0] * 2), Sample.of([1.0, 2.0, 3.0] * 200)
    assert few.mean_of(1000).low < many.mean_of(1000).low < 2.0 < many.mean_of(1000).high < few.mean_of(1000).high
    assert many.longest_of(1000) > 3.0
