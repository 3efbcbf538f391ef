from __future__ import annotations

from typing import Any

import pytest

from benchmarks import documents as work
from benchmarks import flows
from benchmarks.flows_places import place
from benchmarks.killing import survive


def of_a_run(seconds: float, one: float, crew: float = 2.0) -> dict[str, Any]:
    figures = {"seconds": seconds, "one_document_s": one, "crew_s": crew, "single_agent_s": 8.0}
    return {**figures, "rate_limited": 0, "calls_over": 0}


def test_ratios_are_of_the_medians_over_the_better_ideal() -> None:
    told = flows._documents([of_a_run(40, 1.4), of_a_run(70, 1.5), of_a_run(35, 2.0)])
    assert told["bound_ratio"] == pytest.approx(40 / told["ideal_s"], abs=1e-3)
    assert told["ideal_s"] <= told["ideal_by_age_s"]
    assert told["one_document_ratio"] == pytest.approx(1.5 / 1.4, abs=1e-3)
    assert told["one_document_may_take_s"] == pytest.approx(1.64)
    assert told["crew_saving"] == 0.75


def test_documents_that_are_killed_end_as_undisturbed_ones_do_and_no_answer_is_paid_again() -> None:
    with place(requests_per_minute=60_000, pace=20) as here:
        whole = here.run("through", 12)["digest"]
        assert here.simulator.stats()["requests"] == work.calls(12)
    with place(concurrency=4, pace=4) as here:
        survival = survive(here.program("through", 12), here.simulator, kills=2, seed=2, patience=120)
        books = here.run("ledger", 12, elsewhere=True)
        calls = here.simulator.stats()["requests"]
    assert survival.kills == 2
    assert survival.said["digest"] == whole
    assert (books["flows_ended"], books["recorded_twice"], books["faults"]) == (12, 0, [])
    assert calls - work.calls(12) <= books["claimed_and_unsettled"]


def test_the_single_agent_makes_the_crews_calls_one_after_another() -> None:
    with place(requests_per_minute=60_000, pace=10) as here:
        said = here.run("alone", 1)
        assert here.simulator.stats()["max_in_flight"] >= 4
    assert said["single_agent"] > said["crew"]


def test_flows_that_do_nothing_are_counted_and_nested_ones_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "DEPTH", 5)
    told = flows._many("sqlite", 30, 1)
    assert told["flows_per_s"] > 0
    assert told["peak_mb"] > 10
    assert told["chain_ended"]
