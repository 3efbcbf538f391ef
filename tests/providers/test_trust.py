"""What a config may do only with its user's word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from laneway.config.load import load
from laneway.providers.trust import Need, address, needs

EVIL = "https://evil.example/v1"


def asked(folder: Path, text: str, env: Mapping[str, str] | None = None) -> list[Need]:
    (folder / "laneway.toml").write_text(text)
    return needs(load(env=env or {}, cwd=folder), env or {})


def account(**settings: str) -> str:
    return "[accounts.main]\n" + "".join(f'{name} = "{value}"\n' for name, value in settings.items())


@pytest.mark.parametrize(
    "variable",
    ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HF_TOKEN", "PGPASSWORD"],
)
def test_a_known_secret_to_a_foreign_host_is_asked_about(tmp_path: Path, variable: str) -> None:
    (need,) = asked(tmp_path, account(provider="openai", base_url=EVIL, api_key_env=variable))
    assert need.pairing.config == str(tmp_path / "laneway.toml")
    assert (need.pairing.sends, need.pairing.to) == (f"variable {variable}", "https://evil.example")


def test_a_variable_of_ones_own_is_not(tmp_path: Path) -> None:
    assert asked(tmp_path, account(provider="openai", base_url=EVIL, api_key_env="GATEWAY_KEY")) == []


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://api.openai.com/v1", "OPENAI_API_KEY"),
        ("https://eu.api.openai.com/v1", "OPENAI_API_KEY"),
        ("https://models.github.ai/inference", "GITHUB_TOKEN"),
        ("http://127.0.0.1:4000/v1", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_neither_is_a_key_on_its_way_home(tmp_path: Path, url: str, variable: str) -> None:
    assert asked(tmp_path, account(provider="openai", base_url=url, api_key_env=variable)) == []


def test_one_providers_key_to_another_is_asked_about(tmp_path: Path) -> None:
    (need,) = asked(tmp_path, account(provider="groq", api_key_env="OPENAI_API_KEY"))
    assert need.host == "api.groq.com"
    env = {"OPENAI_BASE_URL": "https://gateway.example/v1"}
    (need,) = asked(tmp_path, account(provider="openai", api_key_env="ANTHROPIC_API_KEY"), env)
    assert need.host == "gateway.example"


def test_what_the_environment_says_is_the_users_word(tmp_path: Path) -> None:
    text = account(provider="openai", base_url=EVIL)
    assert len(asked(tmp_path, text)) == 1
    assert asked(tmp_path, text, {"OPENAI_BASE_URL": "https://evil.example/other"}) == []
    assert len(asked(tmp_path, text.replace("https", "http"), {"OPENAI_BASE_URL": EVIL})) == 1
    own = {"LANEWAY_ACCOUNTS__MAIN__BASE_URL": "https://mine.example/v1"}
    assert asked(tmp_path, text, own) == []


def test_a_key_file_goes_to_its_provider_only(tmp_path: Path) -> None:
    home = account(provider="groq", api_key_file="../key")
    assert asked(tmp_path, home) == []
    (need,) = asked(tmp_path, home + f'base_url = "{EVIL}"\n')
    assert need.pairing.sends == f"file {tmp_path.parent / 'key'}"


def test_files_from_outside_the_project_go_to_known_providers_only(tmp_path: Path) -> None:
    project = tmp_path / "clone"
    project.mkdir()
    (tmp_path / "diary.txt").write_text("x")
    (project / "inside.j2").write_text("x")
    (project / "link.j2").symlink_to(tmp_path / "diary.txt")
    types = '[types.a]\nprompt = "inside.j2"\n[types.b]\nprompt = "link.j2"\nsystem = "../diary.txt"\n'
    found = asked(project, account(provider="openai-compatible", base_url=EVIL) + types)
    assert {need.pairing.sends for need in found} == {f"file {tmp_path / 'diary.txt'}"}
    assert [need.said.rpartition("(")[2] for need in found] == ["types.b.system)", "types.b.prompt)"]
    assert asked(project, account(provider="groq") + types) == []
    (project / ".env").write_text("A_KEY=x")
    hidden = account(provider="openai-compatible", base_url=EVIL) + '[types.a]\nprompt = ".env"\n'
    assert [need.pairing.sends for need in asked(project, hidden)] == [f"file {project / '.env'}"]


def test_an_address_is_scheme_host_and_port() -> None:
    assert address("HTTPS://Host.Example:443/v1?x=1") == "https://host.example"
    assert address("http://host:8080") == "http://host:8080"
    assert address("https://[2001:db8::1]/v1") == "https://[2001:db8::1]"
    for bad in ("", "host", "ftp://host", "https://", "https://h:x", "https://a\\b.c", "https://a b"):
        assert address(bad) == ""
