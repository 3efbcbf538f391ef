"""What a table of outcomes does to a route: the cheapest model that keeps the floor, filters first, explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.learning.choice import fit
from laneway.learning.outcomes import outcomes
from laneway.triage.patient import Patient, Pins
from laneway.triage.pipeline import Triage
from tests.learning.outcome_tables import rows

EASY, HARD = (f"{word} alpha beta gamma delta omega number 7" for word in ("greet", "prove"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    fitted = fit(outcomes(rows(600, middle=0.7)))
    fitted.write(folder / "model.npz")
    fitted.write(folder / "one.npz", use="large")
    return folder


def triage(folder: Path, *, file: str = "model.npz", **settings: Any) -> Triage:
    models = {name: {"account": "main", "id": f"{name}-1"} for name in ("small", "medium", "large")}
    settings = {
        "accounts": {"main": {}},
        "models": models,
        "defaults": {"model": "medium"},
        "triage": {"model": file},
        **settings,
    }
    return Triage(Config.model_validate(settings).model_copy(update={"folder": folder}))


def patient(text: str, **more: Any) -> Patient:
    return Patient(type="homework", text=text, input_tokens=10, **more)


def test_easy_work_goes_to_the_cheap_model_with_the_stronger_ones_behind_it(folder: Path) -> None:
    easy, hard = triage(folder).assess_many([patient(EASY), patient(HARD)])
    assert (easy.model, easy.fallbacks) == ("small", ("medium", "large"))
    assert (hard.model, hard.fallbacks) == ("large", ())
    assert "learnt (model " in easy.reasons["model"]
    assert "large's 0.9" in easy.reasons["model"]
    assert "floor 0.98" in easy.reasons["model"]


def test_pins_and_rules_go_before_it(folder: Path) -> None:
    ruled = triage(folder, rules=[{"when": {}, "model": "medium"}])
    assert ruled.assess(patient(HARD)).model == "medium"
    assert triage(folder).assess(patient(HARD, pins=Pins(model="small"))).model == "small"


def test_a_model_that_cannot_take_it_is_passed_over(folder: Path) -> None:
    models: dict[str, dict[str, Any]] = {name: {"account": "main", "id": name} for name in ("small", "medium")}
    models["large"] = {"account": "main", "id": "large", "context_window": 5}
    route = triage(folder, models=models).assess(patient(HARD))
    assert route.model in ("small", "medium")
    assert "window" in route.reasons["not large"]


def test_models_may_be_named_by_their_providers_id(folder: Path) -> None:
    models = {"cheap": {"account": "main", "id": "small"}, "dear": {"account": "main", "id": "large"}}
    made = triage(folder, models=models, defaults={"model": "dear"})
    assert [route.model for route in made.assess_many([patient(EASY), patient(HARD)])] == ["cheap", "dear"]


def test_a_lower_floor_sends_no_more_to_the_strong_model(folder: Path) -> None:
    texts = [patient(row["text"]) for row in rows(200, seed=4)]

    def strong(floor: float) -> int:
        made = triage(folder, triage={"model": "model.npz", "quality_floor": floor})
        return sum(route.model == "large" for route in made.assess_many(texts))

    assert strong(0.9) <= strong(0.98)


def test_a_text_without_words_is_left_to_the_defaults(folder: Path) -> None:
    assert triage(folder).assess(patient(" ")).reasons["model"] == "[defaults]"


def test_advice_to_use_one_model_is_followed(folder: Path) -> None:
    route = triage(folder, file="one.npz").assess(patient(EASY))
    assert route.model == "large"
    assert "nothing to route" in route.reasons["model"]


def test_many_tasks_share_few_routes(folder: Path) -> None:
    routes = triage(folder).assess_many([patient(row["text"]) for row in rows(300, seed=4)])
    assert len({id(route) for route in routes}) < 60


def test_a_config_without_its_models_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"triage\.model: .*no model is called small"):
        triage(folder, models={"other": {"account": "main", "id": "other"}}, defaults={})
