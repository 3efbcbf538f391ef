"""``laneway worker --processes``: several of them, kept going together."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.working import PATIENCE_S, until
from tests.conftest import Desk

APP = """
import os
from laneway import Laneway
lw = Laneway()

@lw.task
async def who(n: int) -> int:
    return os.getpid()
"""


@contextmanager
def working(desk: Desk, *options: str) -> Iterator[subprocess.Popen[str]]:
    desk.write("tasks.py", APP)
    desk.write("laneway.toml", 'app = "tasks:lw"\n')
    parent = desk.start("worker", "--processes", "3", *options)
    try:
        yield parent
    finally:
        parent.kill()
        parent.communicate()
        until(lambda: not pids(desk), "all have left")


def pids(desk: Desk) -> set[int]:
    """Of the workers that are at work."""
    return {worker["pid"] for worker in desk.run("status", "--json").json["workers"]}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_they_share_the_work_and_one_that_dies_is_replaced(desk: Desk) -> None:
    with working(desk) as parent:
        until(lambda: len(pids(desk)) == 3, "three are at work")
        before = pids(desk)
        assert parent.pid not in before
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(pids(desk) - before) == 1, "another takes its place")
        parent.terminate()
        _, said = parent.communicate(timeout=PATIENCE_S)
        assert parent.returncode == 0, said
        assert f"worker process {victim} ended (SIGKILL); another takes its place" in said
        assert "Traceback" not in said
        assert not any(is_alive(pid) for pid in before)


def test_they_leave_when_their_parent_is_killed(desk: Desk) -> None:
    with working(desk) as parent:
        until(lambda: len(pids(desk)) == 3, "three are at work")
        before = pids(desk)
        parent.kill()
        until(lambda: not any(is_alive(pid) for pid in before), "they have left")


@pytest.mark.parametrize("options", [["--app", "nowhere:lw"], ["--store", "mysql://x"]])
def test_what_all_would_fail_at_ends_them_all(desk: Desk, options: list[str]) -> None:
    with working(desk, *options) as parent:
        _, said = parent.communicate(timeout=PATIENCE_S)
        assert parent.returncode == 2
        assert "another takes its place" not in said
