from __future__ import annotations

import pytest

from benchmarks import documents as work
from benchmarks.flows_bound import bound_s, models


def test_every_document_has_its_steps_and_some_are_reviewed() -> None:
    reports = work.documents(500)
    risky = [report for report in reports if work.risky(report)]
    assert len(set(reports)) == 500
    assert work.calls(500) == 5 * 500 + len(risky) == sum(map(len, map(work.steps, reports)))
    assert 100 < len(risky) < 200


def test_the_digest_tells_results_and_their_order_apart() -> None:
    assert work.digest(["a", "b"]) == work.digest(["a", "b"])
    assert len({work.digest(results) for results in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""])}) == 4


def test_without_a_limit_the_bound_is_the_longest_path() -> None:
    assert bound_s(40, None) == pytest.approx((work.longest_path_s(review=True),) * 2)
    assert bound_s(1, None) == pytest.approx((work.longest_path_s(review=work.risky(work.documents(1)[0])),) * 2)


def test_with_a_limit_it_is_the_rates_time_and_what_no_order_can_hide() -> None:
    best, by_age = bound_s(60, 600)
    last_start = (work.calls(60) - 10) / 10  # 10 a second, a bucket of 10 that is full at first
    assert last_start < best <= by_age
    assert by_age < last_start + work.longest_path_s(review=True)


def test_each_step_has_a_model_of_its_latency() -> None:
    assert {step: model["latency"] for step, model in models().items()} == dict(work.LATENCY_S)
