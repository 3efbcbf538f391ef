from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from laneway.simulator.models import Models, SimulatedModel, parse_models, read_models
from laneway.simulator.options import Options


def test_names_may_be_written_both_ways() -> None:
    options = Options()
    options.change({"input-tpm": 10, "output_tpm": 20, "key": "one"})
    assert (options.input_tpm, options.output_tpm, options.key) == (10.0, 20.0, ("one",))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latncy": 1}, "no option 'latncy' to change; did you mean 'latency'"),
        ({"port": 1}, "no option 'port' to change"),
        ({"rpm": 0}, "rpm takes a number above 0; leave it out"),
        ({"rpm": "60"}, "rpm takes a number above 0"),
        ({"rpm": float("nan")}, "rpm takes a number above 0"),
        ({"latency": -1}, "latency takes a number, 0 or more"),
        ({"latency": None}, "latency takes a number, 0 or more"),
        ({"latency": True}, "latency takes a number, 0 or more"),
        ({"error_rate": 1.5}, "error_rate is a share, 0 to 1"),
        ({"concurrency": 1.5}, "concurrency takes a whole number"),
        ({"output_tokens": 0}, "output_tokens takes a number above 0"),
        ({"key": [1]}, "key takes a text or a list of texts"),
        ({"no_headers": 1}, "no_headers takes true or false"),
        ({"models": []}, "models takes a table"),
        ({"models": {"m": {"prices": 1}}}, "model 'm' has prices; known are input_price"),
        ({"models": {"m": {"quality": 2}}}, "quality of model 'm' is a share"),
        ({"models": {"m": {"latency": "1s"}}}, "latency of model 'm' takes a number"),
        ({"models": {"m": {"marked": 1.5}}}, "marked of model 'm' is a share"),
        ({"models": {"m": {"kinds": 1}}}, "kinds of model 'm' takes a table"),
        ({"models": {"m": {"kinds": {"(": 1}}}}, "is no regular expression"),
        ({"models": {"m": {"kinds": {"a": 2}}}}, "the quality for 'a' is a share"),
        ({"models": {"m": 1}}, "model 'm' takes a table"),
        ({"models": {"strict": 1}}, "strict takes true or false"),
    ],
)
def test_wrong_changes_are_refused_and_change_nothing(changes: dict[str, Any], words: str) -> None:
    options = Options()
    with pytest.raises(ValueError, match=words):
        options.change({"seed": 5, **changes})
    assert options == Options()


def test_null_takes_a_limit_away() -> None:
    options = Options(rpm=60, concurrency=2)
    options.change({"rpm": None, "concurrency": None})
    assert options == Options()


def test_models_are_read_from_toml_and_json(tmp_path: Path) -> None:
    toml, json = tmp_path / "m.toml", tmp_path / "m.json"
    toml.write_text('strict = true\n["gpt-4o"]\ninput_price = 2.5\noutput_price = 10\nquality = 0.9\n')
    json.write_text('{"gpt-4o": {"latency": 2}}')
    strict, loose = read_models(toml), read_models(json)
    assert strict.find("gpt-4o") == SimulatedModel(2.5, 10, None, 0.9)
    assert strict.find("other") is None
    assert loose.find("gpt-4o") == SimulatedModel(latency=2)
    assert loose.find("other") == SimulatedModel()
    toml.write_text("[broken")
    with pytest.raises(ValueError, match=r"m\.toml"):
        read_models(toml)


def test_an_unknown_price_is_unknown_and_not_0() -> None:
    assert SimulatedModel().cost_usd(10, 10) is None
    assert SimulatedModel(input_price=1).cost_usd(10, 10) is None
    assert SimulatedModel(input_price=1).cost_usd(10, 0) == pytest.approx(1e-5)  # embeddings have no output
    assert SimulatedModel(1, 2).cost_usd(1_000_000, 1_000_000) == 3
    assert parse_models({"m": {"input_price": 0, "output_price": 0}}).by_name["m"].cost_usd(5, 5) == 0


def test_a_call_takes_its_models_latency_and_more_for_each_token() -> None:
    options = Options(latency=0.5, token_latency=0.01, models=Models({"slow": SimulatedModel(latency=2)}))
    assert options.median_s("any", 0) == 0.5
    assert options.median_s("any", 100) == pytest.approx(1.5)
    assert options.median_s("slow", 100) == pytest.approx(3)
