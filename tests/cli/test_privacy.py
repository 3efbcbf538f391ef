"""Who may read what a run leaves behind, and what commands show of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_everything_with_content_is_its_owners_alone(desk: Desk, simulate: Simulate) -> None:
    simulate(error_rate=1.0)
    desk.write("laneway.toml", "[retry]\nmax_attempts = 1\n")
    desk.batch("tasks.jsonl", 3).write_text((desk.folder / "tasks.jsonl").read_text() + "broken\n")
    given = {file.name for file in desk.folder.iterdir()}
    worker = desk.start("worker")
    try:
        assert desk.run("run", "tasks.jsonl", "--on-bad-input", "skip").code == 1
        made = [file for file in desk.folder.rglob("*") if file.name not in given]
        names = {file.name for file in made}
        assert names >= {"laneway.db", "laneway.db-wal", "laneway.db-shm", "laneway.db-turn", "tasks.bad.jsonl"}
        assert names >= {"tasks.results.jsonl", "tasks.results.jsonl.errors.jsonl"}
        assert {file.name: oct(mode(file)) for file in made if file.is_file()} == {
            file.name: "0o600" for file in made if file.is_file()
        }
        assert {oct(mode(file)) for file in made if file.is_dir()} == {"0o700"}
    finally:
        worker.terminate()
        worker.communicate(timeout=30)


def test_a_results_file_that_is_there_keeps_its_mode(desk: Desk, simulate: Simulate) -> None:
    simulate(error_rate=1.0)
    desk.write("laneway.toml", "[retry]\nmax_attempts = 1\n")
    desk.batch("tasks.jsonl", 1)
    desk.write("out.jsonl", "").chmod(0o644)
    assert desk.run("run", "tasks.jsonl", "-o", "out.jsonl").code == 1
    assert mode(desk.folder / "out.jsonl") == 0o644
    assert mode(desk.folder / "out.jsonl.errors.jsonl") == 0o644


def test_a_store_that_others_can_read_is_pointed_out(desk: Desk) -> None:
    assert desk.run("status").err == ""
    (desk.folder / ".laneway" / "laneway.db").chmod(0o644)
    assert "is open to other users of this machine; `chmod 600` closes it" in desk.run("status").err
