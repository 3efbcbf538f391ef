"""Single settings by environment variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.config.environment import value
from laneway.config.load import load
from laneway.config.models import Config
from laneway.errors import ConfigError

from .conftest import Load
from .example import GOOD

Reads = Callable[[Config], bool]


@pytest.mark.parametrize(
    ("variable", "text", "reads"),
    [
        ("LANEWAY_ACCOUNTS__MAIN__CONCURRENCY", "5", lambda c: c.accounts["main"].concurrency == 5),
        ("LANEWAY_accounts__Main__Concurrency", "5", lambda c: c.accounts["main"].concurrency == 5),
        ("LANEWAY_ACCOUNTS__MAIN__BASE_URL", "http://h/v1", lambda c: c.accounts["main"].base_url == "http://h/v1"),
        ("LANEWAY_MODELS__GPT_4_1__TIMEOUT", "5s", lambda c: c.models["gpt-4.1"].timeout == 5),
        ("LANEWAY_MODELS__SMALL__ID", "4", lambda c: c.models["small"].id == "4"),
        ("LANEWAY_MODELS__SMALL__ID", "2024-08-06", lambda c: c.models["small"].id == "2024-08-06"),
        ("LANEWAY_MODELS__SMALL__ACCOUNTS", '["main"]', lambda c: c.models["small"].account_names == ("main",)),
        ("LANEWAY_MODELS__SMALL__PARAMS__SEED", "7", lambda c: c.models["small"].params == {"seed": 7}),
        ("LANEWAY_RETRY__DELAYS", '["1s", "2m"]', lambda c: c.retry.delays == [1, 120]),
        ("LANEWAY_LANES__NIGHT__CONCURRENCY", "2", lambda c: c.lane("night").concurrency == 2),
        ("LANEWAY_APP", "tasks:lw", lambda c: c.app == "tasks:lw"),
    ],
)
def test_a_variable_sets_one_value(read: Load, variable: str, text: str, reads: Reads) -> None:
    config = read(GOOD, {variable: text})
    assert reads(config)
    assert variable in config.origin.values()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LANEWAY_STORE", "x"),
        ("LANEWAY_TEST_A__B", "x"),
        ("LANEWAY_DEMO_KEY", "x"),
        ("LANEWAY_PORT", "x"),  # Kubernetes sets it for a service of our name
        ("LANEWAY_KEYS__MAIN", "sk-secret"),  # an api_key_env
        ("LANEWAY_ACCOUNTS__MAIN__CONCURRENCY", " "),
        ("OTHER__X", "x"),
    ],
)
def test_what_is_no_setting_is_left_alone(read: Load, variable: str, text: str) -> None:
    config = read(GOOD.replace("SHOP_KEY", "LANEWAY_KEYS__MAIN"), {variable: text})
    assert variable not in config.origin.values()
    assert config.accounts["main"].concurrency == 20


def test_a_key_s_variable_may_be_named_by_a_variable(read: Load) -> None:
    env = {"LANEWAY_ACCOUNTS__MAIN__API_KEY_ENV": "LANEWAY_MY__KEY", "LANEWAY_MY__KEY": "sk-secret"}
    assert read(GOOD, env).accounts["main"].api_key_env == "LANEWAY_MY__KEY"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("LANEWAY_FOO__BAR", "1", "names no setting"),
        ("LANEWAY_ACCOUNT__MAIN__CONCURRENCY", "1", "did you mean 'accounts'"),
        ("LANEWAY_ACCOUNTS__MAIN__CONCURENCY", "1", "did you mean 'concurrency'"),
        ("LANEWAY_ACCOUNTS__MIAN__CONCURRENCY", "1", "did you mean 'main'"),
        ("LANEWAY_LANES__LEGEL__CONCURRENCY", "1", "did you mean 'legal'"),
        ("LANEWAY_ACCOUNTS__MAIN__CONCURRENCY", "many", "must be a whole number"),
        ("LANEWAY_ACCOUNTS__MAIN__CONCURRENCY", "0", "at least 1"),
        ("LANEWAY_ACCOUNTS__MAIN", "1", "stops at a table"),
        ("LANEWAY_ACCOUNTS____CONCURRENCY", "1", "missing"),
        ("LANEWAY_APP__X", "1", "names no setting"),
        ("LANEWAY_ACCOUNTS__MAIN__CONCURRENCY__X", "1", "a single value"),
        ("LANEWAY_DEFAULTS__MODEL", "large", "no model 'large'"),
    ],
)
def test_a_wrong_variable_is_named(read: Load, variable: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(GOOD, {variable: text})
    assert f"the variable {variable}: " in caught.value.message
    assert said in caught.value.message


def test_two_variables_for_one_setting_are_refused(read: Load) -> None:
    env = {"LANEWAY_ACCOUNTS__MAIN__CONCURRENCY": "1", "LANEWAY_ACCOUNTS__main__CONCURRENCY": "2"}
    with pytest.raises(ConfigError, match="it sets the same as LANEWAY_ACCOUNTS__MAIN__CONCURRENCY"):
        read(GOOD, env)


def test_a_name_that_could_be_two_is_refused(read: Load) -> None:
    text = '[lanes.a-b]\n[lanes."a.b"]\n'
    with pytest.raises(ConfigError, match=r"A_B could be a-b and a\.b"):
        read(text, {"LANEWAY_LANES__A_B__WEIGHT": "2"})


def test_a_config_can_be_made_of_variables_only(tmp_path: Path) -> None:
    env = {
        "LANEWAY_ACCOUNTS__MAIN__BASE_URL": "http://h/v1",
        "LANEWAY_MODELS__SMALL__ACCOUNT": "main",
        "LANEWAY_MODELS__SMALL__ID": "gpt-4o-mini",
    }
    config = load(env=env, cwd=tmp_path)
    assert config.models["small"].account_names == ("main",)
    assert config.origin["models.small.id"] == "LANEWAY_MODELS__SMALL__ID"


@given(st.text())
def test_any_text_is_a_value(text: str) -> None:
    assert isinstance(value(text), str | int | float | bool | list | dict)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("5", 5),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"5"', "5"),
        ("a b", "a b"),
        ("1\nb = 2", "1\nb = 2"),
        ("12:30:00", "12:30:00"),
    ],
)
def test_values(text: str, read: object) -> None:
    assert value(text) == read
