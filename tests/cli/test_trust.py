"""``laneway trust``: a config from somebody else, and the user's word."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Desk

CANARY = "sk-canary-4711-abcdefghij"
CLONED = """
[accounts.main]
provider = "openai"
base_url = "https://collector.invalid/v1"
concurrency = 1
[models.small]
account = "main"
id = "of-unknown-price"
"""


@pytest.fixture
def cloned(desk: Desk) -> Desk:
    desk.env["OPENAI_API_KEY"] = CANARY
    desk.env.pop("OPENAI_BASE_URL", None)
    desk.write("laneway.toml", CLONED)
    desk.batch("tasks.jsonl", 2, model="small")
    return desk


def everywhere(desk: Desk) -> bytes:
    places = [desk.folder, Path(desk.env["XDG_STATE_HOME"])]
    return b"".join(file.read_bytes() for place in places for file in place.rglob("*") if file.is_file())


def test_a_cloned_config_cannot_carry_a_key_away(cloned: Desk) -> None:
    done = cloned.run("run", "tasks.jsonl", "-vv")
    assert done.code == 2
    assert "account main would send OPENAI_API_KEY to collector.invalid, which is not openai's" in done.err
    (command,) = re.findall(r"`(laneway trust [^`]+)`", done.err)
    assert command == "laneway trust main"
    assert not (cloned.folder / "tasks.results.jsonl").exists()
    assert CANARY.encode() not in everywhere(cloned) + f"{done.out}{done.err}".encode()

    allowed = cloned.run(*shlex.split(command)[1:])
    assert allowed.code == 0
    assert "OPENAI_API_KEY to https://collector.invalid (account main): trusted since" in allowed.out
    again = cloned.run("run", "tasks.jsonl", "--max-cost", "1", "--json")  # stops without a call, for want of a price
    assert again.json["error"]["kind"] == "budget"
    assert CANARY.encode() not in everywhere(cloned) + f"{again.out}{again.err}".encode()


def test_the_command_in_the_hint_works_from_elsewhere(cloned: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    config = str(cloned.folder / "laneway.toml")
    cloned.folder = tmp_path_factory.mktemp("elsewhere")
    cloned.batch("tasks.jsonl", 1, model="small")
    hint = cloned.run("run", "tasks.jsonl", "--config", config, "--json").json["error"]["hint"]
    (command,) = re.findall(r"`(laneway trust [^`]+)`", hint)
    assert cloned.run(*shlex.split(command)[1:], "--json").json["changed"] == 1
    assert cloned.run("trust", "--config", config, "--list", "--json").json["needs"][0]["trusted"]


def test_without_a_terminal_it_wants_a_clear_word(cloned: Desk) -> None:
    done = cloned.run("trust", "--json")
    assert done.code == 2
    assert done.json["error"]["kind"] == "usage"
    assert "laneway trust --yes" in done.json["error"]["hint"]
    assert cloned.run("trust", "--list").out.endswith("(account main): not trusted\n")
    assert cloned.run("trust", "nobody", "--json").json["error"]["kind"] == "not_found"
    assert cloned.run("trust", "--yes", "--json").json["changed"] == 1
    assert cloned.run("trust", "--yes", "--json").json["changed"] == 0


def test_trust_is_of_this_place_host_and_variable(cloned: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    cloned.run("trust", "--yes")

    def trusted() -> bool:
        return bool(cloned.run("trust", "--list", "--json").json["needs"][0]["trusted"])

    assert trusted()
    cloned.write("laneway.toml", CLONED + "[lanes.new]\nconcurrency = 3\n")
    assert trusted()
    cloned.write("laneway.toml", CLONED.replace("collector", "other"))
    assert not trusted()
    cloned.write("laneway.toml", CLONED.replace("https", "http"))
    assert not trusted()
    cloned.write("laneway.toml", CLONED.replace("concurrency = 1", 'api_key_env = "GROQ_API_KEY"'))
    assert not trusted()
    cloned.write("laneway.toml", CLONED)
    assert trusted()
    cloned.folder = tmp_path_factory.mktemp("another-clone")
    cloned.write("laneway.toml", CLONED)
    assert not trusted()


def test_trust_can_be_taken_back(cloned: Desk) -> None:
    cloned.run("trust", "main")
    done = cloned.run("trust", "--revoke")
    assert "no longer trusted" in done.out
    assert cloned.run("trust", "--list", "--json").json["trusted"] == []
    assert cloned.run("run", "tasks.jsonl").code == 2


def test_the_list_lies_with_the_user_and_is_his_alone(cloned: Desk) -> None:
    cloned.run("trust", "main")
    file = Path(cloned.env["XDG_STATE_HOME"]) / "laneway" / "trust.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(file.read_text())["trusted"][0]["sends"] == "variable OPENAI_API_KEY"
    file.chmod(0o666)
    done = cloned.run("run", "tasks.jsonl")
    assert done.code == 2
    assert "can be written by others: nothing in it is believed" in done.err
    file.write_text("{")
    file.chmod(0o600)
    assert "is damaged" in cloned.run("run", "tasks.jsonl").err


def test_a_file_of_the_users_does_not_leave(cloned: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    diary = tmp_path_factory.mktemp("home") / "diary.txt"
    diary.write_text("dear diary")
    cloned.write(
        "laneway.toml",
        CLONED.replace('"openai"', '"openai-compatible"') + f'[types.a]\nprompt = "{diary}"\n[defaults]\ntype = "a"\n',
    )
    cloned.write("records.jsonl", '{"id": 1}\n')
    done = cloned.run("run", "records.jsonl", "--model", "small")
    assert done.code == 2
    assert f"would send the file {diary} (types.a.prompt) to collector.invalid" in done.err


def test_the_refusal_names_all_that_the_word_would_cover(cloned: Desk) -> None:
    (cloned.folder / ".env").write_text("x")
    cloned.write("laneway.toml", CLONED + '[types.a]\nprompt = ".env"\n')
    said = cloned.run("run", "tasks.jsonl").err
    assert f"would send OPENAI_API_KEY and the file {cloned.folder}/.env (types.a.prompt) to collector.invalid" in said


def test_on_a_terminal_it_asks(cloned: Desk) -> None:
    for answer, trusted in ((b"n\n", False), (b"y\n", True)):
        outer, inner = pty.openpty()
        command = [sys.executable, "-m", "laneway", "trust"]
        asked = subprocess.Popen(
            command, cwd=cloned.folder, env=cloned.env, stdin=inner, stdout=subprocess.PIPE, stderr=inner
        )
        os.close(inner)
        os.write(outer, answer)
        out, _ = asked.communicate(timeout=60)
        os.close(outer)
        assert asked.returncode == 0
        assert (b": not trusted" in out) is not trusted


def test_an_include_does_not_follow_a_link_out_of_the_project(
    cloned: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    diary = tmp_path_factory.mktemp("home") / "diary.txt"
    diary.write_text("dear diary")
    (cloned.folder / "innocent.j2").symlink_to(diary)
    cloned.write("prompt.j2", "{% include 'innocent.j2' %}")
    cloned.write("records.jsonl", '{"id": 1}\n')
    cloned.write("laneway.toml", CLONED.replace('"openai"', '"openai-compatible"'))
    done = cloned.run("run", "records.jsonl", "--prompt", "prompt.j2", "--model", "small")
    assert done.code == 2
    assert "it includes 'innocent.j2', which is not in" in done.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f'base_url = "https://me:{CANARY}@host.invalid/v1"', "an address with a user name or password"),
        ('headers = { Host = "evil.invalid" }', "the header Host is not set by hand"),
    ],
)
def test_settings_that_would_mislead(cloned: Desk, line: str, said: str) -> None:
    cloned.write("laneway.toml", f'[accounts.main]\nprovider = "openai"\n{line}\n')
    done = cloned.run("run", "tasks.jsonl")
    assert done.code == 2
    assert said in done.err
    assert CANARY not in done.err


def test_doctor_asks_for_the_word_and_believes_it(cloned: Desk) -> None:
    cloned.env["HTTPS_PROXY"] = "http://127.0.0.1:9"  # so that nothing is looked up or leaves this machine
    before = cloned.run("doctor")
    assert "would send OPENAI_API_KEY to collector.invalid" in before.out
    assert "laneway trust main" in before.out
    cloned.run("trust", "main")
    after = cloned.run("doctor")
    assert "would send" not in after.out
    assert CANARY not in before.out + after.out
