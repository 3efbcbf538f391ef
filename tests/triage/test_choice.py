"""What a learnt choice among models does to a route."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.learning.choice import fit
from laneway.learning.outcomes import outcomes
from laneway.triage.learned.files import save
from laneway.triage.patient import Patient, Pins
from laneway.triage.pipeline import Triage, explain
from tests.learning.outcome_tables import rows

EASY, HARD = "greet alpha beta gamma delta omega", "prove alpha beta gamma delta omega"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    fit(outcomes(rows(800, weak_on_easy=0.97, weak_on_hard=0.1, strong=0.97, typed=False))).write(made / "model.npz")
    return made


def triage(folder: Path, **settings: Any) -> Triage:
    settings = {
        "accounts": {"main": {}},
        "models": {
            "small": {"account": "main", "id": "s", "context_window": 1000},
            "large": {"account": "main", "id": "l"},
        },
        "defaults": {"model": "large"},
        "triage": {"model": "model.npz", "quality_floor": 0.95},
        **settings,
    }
    return Triage(Config.model_validate(settings).model_copy(update={"folder": folder}))


def patient(text: str, **more: Any) -> Patient:
    return Patient(type="letter", text=text, **{"input_tokens": 10, **more})


def test_what_is_easy_goes_to_the_small_model_with_the_better_one_behind_it(folder: Path) -> None:
    nurse = triage(folder)
    easy, hard = nurse.assess(patient(EASY)), nurse.assess(patient(HARD))
    assert (easy.model, easy.fallbacks) == ("small", ("large",))
    assert (hard.model, hard.fallbacks) == ("large", ())
    assert easy.reasons["model"].startswith("learnt (model ")
    assert any("learnt (model " in line for line in explain(easy))
    assert nurse.assess(patient(EASY)) is easy, "equal routes are one object"


def test_pins_and_rules_go_before_it_and_defaults_behind(folder: Path) -> None:
    rules = [{"when": {"text": "/greet/"}, "model": "large"}]
    assert triage(folder, rules=rules).assess(patient(EASY)).reasons["model"] == "rule 1"
    assert triage(folder).assess(patient(EASY, pins=Pins(model="large"))).model == "large"
    assert triage(folder).assess(patient("  ")).reasons["model"] == "[defaults]"


def test_a_model_that_cannot_take_the_task_is_not_chosen(folder: Path) -> None:
    route = triage(folder).assess(patient(EASY, input_tokens=5000))
    assert route.model == "large"
    assert "instead of small" in route.reasons["model"]


def test_a_file_that_chooses_among_other_models_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model is called small"):
        triage(folder, models={"large": {"account": "main", "id": "l"}})
    save(tmp_path / "model.npz", "answers", {}, {})
    with pytest.raises(ConfigError, match=r"triage\.model: .* decides answers"):
        triage(tmp_path)
