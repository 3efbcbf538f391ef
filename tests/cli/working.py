"""The worker command in tests: started, ready, asked how it is, told to end."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.conftest import Desk

PATIENCE_S = 60.0
PAUSE_S = 0.1
APP = """
import asyncio, os, pathlib
from laneway import Laneway
lw = Laneway()

@lw.task(lane="quick")
async def quick(n: int) -> int:
    return n * 2

@lw.task(lane="slow")
async def slow(gate: str) -> str:
    pathlib.Path(gate + ".begun").touch()
    while not pathlib.Path(gate).exists():
        await asyncio.sleep(0.02)
    return "through " + gate
"""


@contextmanager
def at_work(desk: Desk, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A worker that is ready, and what it said then."""
    if not (desk.folder / "laneway.toml").exists():
        desk.write("tasks.py", APP)
        desk.write("laneway.toml", 'app = "tasks:lw"\n')
    worker = desk.start("worker", "--json", *options)
    try:
        assert worker.stdout is not None
        line = worker.stdout.readline()
        assert line, worker.communicate()[1]
        yield worker, json.loads(line)
    finally:
        worker.kill()
        worker.communicate()


def end(worker: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what it said on stderr."""
    _, said = worker.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in said, said
    return worker.returncode, said


def until(fine: Callable[[], Any], what: str = "it did not come about") -> Any:
    """Wait for something that another process brings about; what ``fine`` found. With pauses: asking mostly starts a
    command, which takes a core from whoever is waited for."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := fine()):
        assert time.monotonic() < deadline, what
        time.sleep(PAUSE_S)
    return found


def ask(url: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def states(desk: Desk) -> dict[str, dict[str, int]]:
    """Tasks by lane and state."""
    lanes: dict[str, dict[str, int]] = desk.run("status", "--json").json["lanes"]
    return lanes
