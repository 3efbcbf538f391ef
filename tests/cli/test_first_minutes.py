"""The mistakes of the first ten minutes: each is told once, before anything is paid, with the next step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.test_doctor import endpoint
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]
CONFIG = '[accounts.a]\nprovider = "openai"\n[models.small]\naccount = "a"\nid = "m"\n[types.review]\nprompt = "p.j2"\n'


def prepare(desk: Desk, *, config: bool = True) -> None:
    desk.write("c.csv", "id,text\n" + "".join(f"{n},hello\n" for n in range(30)))
    desk.write("p.j2", "{{ text }}")
    if config:
        desk.write("laneway.toml", CONFIG)


@pytest.mark.parametrize(
    ("arguments", "said", "next_"),
    [
        ("rnu c.csv", "Did you mean 'run'?", "--help"),
        ("run c.csv --promt p.j2", "--promt", "--help"),
        ("run d.csv --type review", "there is no file d.csv", "check the name"),
        ("run c.csv --prompt q.j2 --model small", "q.j2", "check the path"),
        ("run c.csv --prompt blank.j2 --model small", "is empty", "{{ name }}"),
        ("run c.csv --prompt gaps.j2 --model small", "comes out empty", "mend"),
        ("run c.csv --model smal", "there is no model 'smal'", "did you mean 'small'?"),
        ("run c.csv --type reviw --model small", "there is no task type 'reviw'", "did you mean 'review'"),
        ("run c.csv --type review --urgency hihg", "'hihg' is not an urgency", "aliases"),
    ],
)
def test_mistakes(bare: Desk, arguments: str, said: str, next_: str) -> None:
    prepare(bare)
    bare.env["OPENAI_API_KEY"] = "sk-test"
    bare.write("blank.j2", " \n")
    bare.write("gaps.j2", "{% if no is defined %}x{% endif %}")
    done = bare.run(*arguments.split(), "--json")
    assert done.code == 2
    assert said in done.json["error"]["message"]
    assert next_ in done.json["error"]["hint"]


@pytest.mark.parametrize(("arguments", "command"), [((), "simulator"), (("config",), "check")])
def test_without_a_command_the_help_is_shown(bare: Desk, arguments: tuple[str, ...], command: str) -> None:
    done = bare.run(*arguments)
    assert done.code == 2
    assert f"\n  {command} " in done.err


def test_no_key(bare: Desk) -> None:
    prepare(bare)
    done = bare.run("run", "c.csv", "--type", "review", "--model", "small")
    assert done.code == 2
    assert "OPENAI_API_KEY is not set" in done.err
    assert "export OPENAI_API_KEY" in done.err


def test_a_model_is_asked_for_once_not_for_every_row(bare: Desk) -> None:
    prepare(bare, config=False)
    done = bare.run("run", "c.csv", "--prompt", "p.j2")
    assert done.code == 2
    assert done.err.count("which model") == 1
    assert "line" not in done.err


def test_a_page_where_an_api_should_be_stops_the_run_and_keeps_the_tasks(bare: Desk) -> None:
    prepare(bare)
    bare.env["OPENAI_API_KEY"] = "sk-test"
    with endpoint(404, b"<html><title>Sign in</title></html>") as url:
        bare.env["OPENAI_BASE_URL"] = url
        done = bare.run("run", "c.csv", "--type", "review", "--model", "small", "--json")
    assert done.code == 3
    assert done.json["tasks"]["failed"] == 0
    assert done.json["tasks"]["remaining"] == 30
    assert "base_url" in done.err
