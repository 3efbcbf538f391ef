"""Choosing among models from a table of outcomes: what is learnt, what is advised, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laneway.errors import InputError
from laneway.learning.choice import fit
from laneway.learning.judging import try_file, try_out
from laneway.learning.outcomes import Outcomes, outcomes
from laneway.learning.verdict import Report, Verdict, judge
from laneway.triage.learned.choice import KIND, Choice
from laneway.triage.learned.files import load
from tests.learning.outcome_tables import rows, shuffled


def report_of(table: list[dict[str, Any]], floor: float = 0.98, **more: Any) -> Report:
    read = outcomes(table, **more)
    return judge(try_out(read, floor, 0), floor)


@pytest.fixture(scope="module")
def routed() -> Report:
    return report_of(rows(600))


def test_a_gain_that_the_words_tell_is_routed_and_saves(routed: Report) -> None:
    report = routed
    assert report.verdict is Verdict.ROUTE
    assert report.use is None
    assert report.at_floor.saved > 0.3
    assert report.at_floor.quality_kept > 0.96
    assert report.recovered.apgr > 0.7
    assert report.triaged.under < 0.2
    assert report.share["small"] == pytest.approx(0.45, abs=0.15)
    low, high = report.intervals["saved 98"]
    assert low < report.at_floor.saved < high


def test_figures_have_their_names_in_json(routed: Report) -> None:
    said = routed.as_json()
    assert said["verdict"] == "route"
    assert said["routable"] is True
    assert set(said["saved"]) == set(said["quality_kept"]) == {"95", "98", "100"}
    assert set(said["baselines"]) == {"all_strong", "all_cheap", "best_single", "type_mean", "random"}
    assert said["baselines"]["all_strong"]["saved"] == 0.0
    assert said["baselines"]["random"]["apgr"] == 0.5
    assert len(said["intervals"]["saved"]["98"]) == len(said["intervals"]["apgr"]) == 2
    assert {"apgr", "cpt50", "cpt80", "aiq", "undertriage", "overtriage", "share", "advice_loss"} <= said.keys()


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_outcomes_are_not_routable(seed: int) -> None:
    report = report_of(shuffled(rows(400, seed), seed))
    assert report.verdict is Verdict.NOT_ROUTABLE
    assert report.use == "large"
    assert report.loss <= 0.01


def test_a_cheap_model_that_is_as_good_is_used_for_everything() -> None:
    table = rows(640)
    for at, row in enumerate(table):
        row["quality:small"] = 1 - row["quality:large"] if at % 160 == 0 else row["quality:large"]
    report = report_of(table)
    assert (report.verdict, report.use) == (Verdict.ONE_MODEL, "small")
    assert report.loss <= 0.01


def test_the_best_model_is_used_for_everything_where_it_is_the_cheapest() -> None:
    table = [{**row, "cost:small": 0.5} for row in rows(400)]
    report = report_of(table)
    assert (report.verdict, report.use) == (Verdict.ONE_MODEL, "large")


def test_three_models() -> None:
    report = report_of(rows(600, middle=0.86))
    assert set(report.share) == {"small", "medium", "large"}
    assert sum(report.share.values()) == pytest.approx(1.0)
    assert report.verdict in (Verdict.ROUTE, Verdict.ONE_MODEL)
    assert report.loss <= 0.05


def test_scores_between_bad_and_good() -> None:
    table = rows(600)
    for row in table:
        row["quality:small"] = 0.2 + 0.6 * row["quality:small"]
    report = report_of(table)
    assert report.verdict is Verdict.ROUTE


def test_missing_cells_are_passed_over() -> None:
    table = rows(700)
    for at in range(0, 700, 7):
        table[at]["quality:small"] = None
    report = report_of(table)
    assert report.tested == 600
    assert report.verdict is Verdict.ROUTE


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    read = outcomes(rows(300))
    first, second = (fit(read, seed=3).write(tmp_path / name) for name in ("a.npz", "b.npz"))
    assert first.id == second.id
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> Choice:
    path = tmp_path_factory.mktemp("models") / "model.npz"
    fit(outcomes(rows(1200))).write(path)
    return Choice(load(path, KIND))


class TestAFile:
    def test_sends_hard_words_to_the_strong_model(self, choice: Choice) -> None:
        expected = choice.expect(["greet alpha beta", "prove alpha beta"], [None, "homework"])
        assert [choice.models[one] for one in choice.choose(expected.bound, 0.98)] == ["small", "large"]
        small, large = expected.quality[:, 0], expected.quality[:, 1]
        assert small[0] > 0.75 > 0.5 > small[1]
        assert large == pytest.approx([0.9, 0.9], abs=0.1)

    def test_chooses_among_those_that_can_take_it(self, choice: Choice) -> None:
        bound = choice.expect(["prove alpha"], ["exam"]).bound
        assert choice.choose(bound, 0.98, among=[0]) == [0]

    def test_a_lower_floor_sends_more_to_the_cheap_model(self, choice: Choice) -> None:
        read = outcomes(rows(300, seed=5))
        bound = choice.expect(read.texts, read.types).bound
        cheap = [float((choice.choose(bound, floor) == 0).mean()) for floor in (1.0, 0.98, 0.95, 0.9)]
        assert cheap == sorted(cheap)
        assert cheap[0] < cheap[-1]

    def test_predictions_are_calibrated(self, choice: Choice) -> None:
        read = outcomes(rows(2000, seed=9))
        quality = choice.expect(read.texts, read.types).quality[:, 0]
        parts = np.array_split(np.argsort(quality), 4)
        gaps = [abs(read.quality[part, 0].mean() - quality[part].mean()) for part in parts]
        assert np.mean(gaps) < 0.08

    def test_is_judged_on_another_table(self, choice: Choice) -> None:
        report = judge(try_file(choice, outcomes(rows(500, seed=7)), 0.98), 0.98)
        assert report.verdict is Verdict.ROUTE

    def test_needs_its_models(self, choice: Choice) -> None:
        table = outcomes([{**row, "quality:other": 1.0, "cost:other": 1.0} for row in rows(300)])
        others = Outcomes(table.texts, table.types, ("small", "x", "other"), table.quality, table.cost)
        with pytest.raises(InputError, match="large"):
            try_file(choice, others, 0.98)


def test_a_type_that_was_never_seen_is_less_sure() -> None:
    table = rows(600, typed=False)
    for row in table:
        row["type"] = "exam" if row["quality:small"] < row["quality:large"] else "homework"
    found = Choice(fit(outcomes(table)).as_file()).expect(["greet alpha"] * 2, ["homework", "never seen"])
    doubt = found.bound[:, 0] - (found.quality[:, 1] - found.quality[:, 0])
    assert doubt[1] > doubt[0] + 0.1


class TestATableIsRefused:
    def refused(self, table: list[dict[str, Any]], **more: Any) -> InputError:
        with pytest.raises(InputError) as caught:
            outcomes(table, **more)
        return caught.value

    def test_with_one_model(self) -> None:
        assert "nothing to choose" in self.refused([{"text": "a", "quality:small": 1}]).message

    def test_with_scores_beyond_one(self) -> None:
        error = self.refused([{"text": "a", "quality:small": 4, "quality:large": 5}])
        assert "0 to 1" in error.message
        assert "divide" in (error.hint or "")

    def test_with_words_for_scores(self) -> None:
        assert "not a number" in self.refused([{"text": "a", "quality:s": "fine", "quality:l": 1}]).message

    def test_without_a_text(self) -> None:
        error = self.refused([{"question": "a", "quality:s": 1, "quality:l": 1}])
        assert "question" in (error.hint or "")

    def test_with_three_models_and_no_costs(self) -> None:
        error = self.refused([{"text": "a", "quality:a": 1, "quality:b": 1, "quality:c": 0}])
        assert "--cost a=" in (error.hint or "")

    def test_with_too_few_rows(self) -> None:
        with pytest.raises(InputError, match="at least"):
            fit(outcomes(rows(50)))


def test_costs_as_stated_from_prices_or_as_calls() -> None:
    table = [{"text": "x" * 400, "quality:s": "true", "quality:l": "no"}]
    stated = outcomes(table, stated={"s": 1, "l": 5})
    assert (stated.costs.tolist(), stated.unit) == ([1.0, 5.0], "relative")
    priced = outcomes(table, prices={"s": (1.0, 2.0), "l": (10.0, 20.0)})
    assert priced.costs == pytest.approx([7e-4, 7e-3])
    counted = outcomes(table)
    assert (counted.costs.tolist(), counted.unit) == ([1.0, 0.0], "calls")


def test_without_costs_the_better_of_two_is_the_dearer() -> None:
    table = [{name: value for name, value in row.items() if not name.startswith("cost:")} for row in rows(600)]
    report = report_of(table)
    assert (report.strongest, report.cheapest) == ("large", "small")
    assert report.at_floor.saved == pytest.approx(report.share["small"])
