"""The shells' completion, by the protocol in which they ask the real command."""

from __future__ import annotations

import pytest

from tests.conftest import Desk

CONFIG = """
[accounts.main]
provider = "vllm"
[models.small]
account = "main"
id = "a"
[models.strong]
account = "main"
id = "b"
[lanes.legal]
[types.letter]
[[rules]]
when = { tokens = ">9" }
lane = "long"
[urgency.urgent]
aliases = ["high"]
"""


def bash(desk: Desk, line: str) -> list[str]:
    """What bash would offer for the last word of a line (an empty one where it ends with a space)."""
    words = line.split(" ")
    desk.env |= {"_LANEWAY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return desk.run().out.split()


@pytest.fixture
def configured(bare: Desk) -> Desk:
    bare.write("laneway.toml", CONFIG)
    return bare


def test_commands_are_offered(bare: Desk) -> None:
    assert {"run", "plan", "init", "doctor", "config"} <= set(bash(bare, "laneway "))
    assert bash(bare, "laneway doc") == ["doctor"]
    assert set(bash(bare, "laneway config ")) == {"show", "check", "path"}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("laneway run x.csv --model s", ["small", "strong"]),
        ("laneway plan x.csv --type ", ["letter"]),
        ("laneway run x.csv --lane l", ["legal", "long"]),
        ("laneway run x.csv --urgency h", ["high"]),
        ("laneway set 7 --model st", ["strong"]),
    ],
)
def test_the_configs_names_are_offered(configured: Desk, line: str, offered: list[str]) -> None:
    assert bash(configured, line) == offered


def test_a_config_with_faults_offers_nothing_and_says_nothing(configured: Desk) -> None:
    configured.write("laneway.toml", "[[[")
    assert bash(configured, "laneway run x.csv --model ") == []


def test_zsh_and_fish_ask_in_their_own_way(configured: Desk) -> None:
    configured.env |= {"_LANEWAY_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "laneway run x.csv --model s"}
    assert '"strong"' in configured.run().out
    configured.env |= {"_LANEWAY_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert configured.run().out.split() == ["small", "strong"]


def test_help_says_how_to_install_it(bare: Desk) -> None:
    assert "--install-completion`" in bare.run("--help").out
    bare.env["_LANEWAY_COMPLETE"] = "source_bash"
    assert "complete -o default -F _laneway_completion laneway" in bare.run().out
