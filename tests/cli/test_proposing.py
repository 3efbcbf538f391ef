"""Records or documents without a prompt: the error shows what would do, and writes nothing by itself."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.conftest import Desk

CLAIMS = "id,Customer name,text\n1,Ada,broken\n2,Bo,lost\n"


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_config_and_a_prompt_are_proposed_and_nothing_is_written(bare: Desk, command: str) -> None:
    bare.write("claims.csv", CLAIMS)
    done = bare.run(command, "claims.csv")
    assert done.code == 2
    assert "| [types.claims]" in done.err
    assert '| Customer name: {{ record["Customer name"] }}' in done.err
    assert "init claims.csv` writes" in done.err
    assert [path.name for path in bare.folder.iterdir() if path.name != ".laneway"] == ["claims.csv"]
    told = bare.run(command, "claims.csv", "--json")
    assert told.code == 2
    assert told.json["error"]["kind"] == "input"
    assert "init claims.csv" in told.json["error"]["hint"]


def test_a_folder_gets_a_prompt_for_documents(bare: Desk) -> None:
    bare.write("letters/a.txt", "hello")
    done = bare.run("run", "letters")
    assert done.code == 2
    assert "Summarise the document {{ name }}" in done.err
    assert bare.run("init", "letters").code == 0
    assert "types.letters" in (bare.folder / "laneway.toml").read_text()


def test_beside_a_config_only_the_prompt_is_proposed(bare: Desk) -> None:
    bare.write("laneway.toml", '[accounts.main]\nprovider = "vllm"\n')
    bare.write("claims.csv", CLAIMS)
    done = bare.run("run", "claims.csv", "--type", "clams")
    assert done.code == 2
    assert "there is no task type 'clams'" in done.err
    assert "laneway.toml would be" not in done.err
    assert "prompts/claims.j2 would be" in done.err


def test_standard_input_and_several_inputs_get_the_hint_alone(bare: Desk) -> None:
    done = bare.run("run", "-", stdin='{"text": "a"}\n')
    assert done.code == 2
    assert "--prompt FILE" in done.err
    assert "would be" not in done.err


@pytest.mark.parametrize(("answer", "written"), [(b"y\n", True), (b"n\n", False)])
def test_on_a_terminal_it_asks(bare: Desk, answer: bytes, written: bool) -> None:
    bare.write("claims.csv", CLAIMS)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "laneway", "run", "claims.csv"]
    child = subprocess.Popen(command, cwd=bare.folder, env=bare.env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while b"Write these files?" not in said:
        said += os.read(ours, 4096)
    os.write(ours, answer)
    try:
        while more := os.read(ours, 4096):
            said += more
    except OSError:  # the terminal's other side is closed
        pass
    os.close(ours)
    assert child.wait() == 2
    assert (bare.folder / "laneway.toml").exists() is written
    assert (b"run claims.csv --type claims" in said) is written
