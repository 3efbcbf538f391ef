"""Which key goes where, and what a name means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from laneway.config.models import AccountConfig, Config
from laneway.errors import AuthError, ConfigError, InputError
from laneway.providers.catalog import Catalog
from laneway.task import Usage, Wire

CANARY = "sk-canary-0123456789"


def catalog(account: dict[str, Any] | None = None, env: dict[str, str] | None = None, **more: Any) -> Catalog:
    data: dict[str, Any] = dict(more)
    if account is not None:
        data = {"accounts": {"main": account}, "models": {"small": {"account": "main", "id": "gpt-4o-mini"}}, **data}
    return Catalog(Config.model_validate(data), {"OPENAI_API_KEY": CANARY, **(env or {})})


@pytest.mark.parametrize(
    "url", ["https://api.openai.com/v1", "http://127.0.0.1:9/v1", "http://localhost:9/v1", "http://[::1]:9/v1"]
)
def test_a_well_known_key_goes_to_its_owner_and_to_this_machine(url: str) -> None:
    assert catalog({"provider": "openai", "base_url": url}).model("small").accounts[0].key == CANARY


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1",
        "https://api.openai.com.evil.example/v1",
        "https://notapi.openai.com/v1",
        "http://api.openai.com/v1",  # for everybody on the way to read
    ],
)
def test_and_nowhere_else(url: str) -> None:
    with pytest.raises(AuthError, match=r"would send OPENAI_API_KEY") as caught:
        catalog({"provider": "openai", "base_url": url}).model("small")
    assert "api_key_env" in caught.value.hint
    assert CANARY not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    ["https://evil.example\\.api.openai.com/v1", "https://evil.example\t.api.openai.com/v1", "https://e／.com/v1"],
)
def test_an_address_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not an http"):
        catalog({"provider": "openai", "base_url": url}).model("small")


def test_a_password_in_a_variables_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL is not sent") as caught:
        catalog({"provider": "openai"}, {"OPENAI_BASE_URL": f"https://me:{CANARY}@api.openai.com/v1"}).model("small")
    assert CANARY not in f"{caught.value}{caught.value.hint}"


def test_what_is_no_key_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "id_rsa").write_text("-----BEGIN PRIVATE KEY-----\nabc\n")
    with pytest.raises(AuthError, match="holds is no key"):
        catalog({"provider": "openai", "api_key_file": str(tmp_path / "id_rsa")}).model("small")
    with pytest.raises(AuthError, match="what OPENAI_API_KEY holds is no key"):
        catalog({"provider": "openai"}, {"OPENAI_API_KEY": "sk-a\nx-other: b"}).model("small")


def test_headers_named_like_secrets_are_told_to_the_logs() -> None:
    told: set[str] = set()
    account = AccountConfig(headers={"X-Api-Key": CANARY, "Authorization": "Basic abcdef", "X-Title": "Laneway"})
    config = Config(accounts={"main": account})
    Catalog(config, {"OPENAI_API_KEY": "sk-env"}, secrets=told.update).account("main")
    assert told == {"sk-env", CANARY, "Basic abcdef", "abcdef"}


def test_unless_the_providers_own_variable_points_there() -> None:
    env = {"OPENAI_BASE_URL": "https://gateway.example/v1"}
    assert catalog({"provider": "openai"}, env).model("small").accounts[0].base_url == "https://gateway.example/v1"


def test_a_variable_of_ones_own_may_go_anywhere() -> None:
    account = {"provider": "openai", "base_url": "https://gateway.example/v1", "api_key_env": "GATEWAY_KEY"}
    assert catalog(account, {"GATEWAY_KEY": "k"}).model("small").accounts[0].key == "k"


def test_a_missing_key_names_the_variable() -> None:
    with pytest.raises(AuthError, match="GROQ_API_KEY is not set"):
        catalog({"provider": "groq"}).model("small")


def test_a_key_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f" {CANARY}\n")
    account = {"provider": "openai", "api_key_file": str(tmp_path / "key")}
    assert catalog(account).model("small").accounts[0].key == CANARY
    with pytest.raises(AuthError, match="cannot be read"):
        catalog({**account, "api_key_file": str(tmp_path / "none")}).model("small")


def test_keys_are_not_shown() -> None:
    found = catalog({"provider": "openai"}).model("small")
    assert CANARY not in repr(found)


def test_names_ids_and_mistakes() -> None:
    made = catalog({"provider": "openai"})
    assert made.model("small") is made.model("gpt-4o-mini")
    with pytest.raises(InputError, match="no model 'smal'") as caught:
        made.model("smal")
    assert "did you mean 'small'" in caught.value.hint
    with pytest.raises(ConfigError, match="no provider 'opnai'") as config_error:
        catalog({"provider": "opnai"}).model("small")
    assert "did you mean 'openai'" in config_error.value.hint


def test_without_a_config_the_environment_decides() -> None:
    made = Catalog(Config(), {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}, concurrency=7)
    chat, claude = made.model("gpt-4o"), made.model("claude-sonnet-4-5")
    assert (chat.accounts[0].wire, chat.accounts[0].key, chat.accounts[0].limits.concurrency) == (Wire.CHAT, "a", 7)
    assert (claude.accounts[0].wire, claude.accounts[0].base_url) == (Wire.MESSAGES, "https://api.anthropic.com/v1")


def test_a_local_server_needs_no_key() -> None:
    assert catalog({"provider": "ollama"}, {}).model("small").accounts[0].key is None


def test_prices_come_from_the_config_then_from_the_table_else_are_unknown() -> None:
    made = catalog({"provider": "openai"})
    assert made.model("small").cost(Usage(1_000_000, 0)) is None
    made.load_prices()
    assert made.model("small").cost(Usage(1_000_000, 0)) == pytest.approx(0.15)
    assert made.model("small").cost(Usage(1_000_000, 0, 1_000_000)) == pytest.approx(0.075)
    unknown = Catalog(Config(), {"OPENAI_API_KEY": "a"})
    unknown.load_prices()
    assert unknown.model("my-own-model").cost(Usage(1, 1)) is None
