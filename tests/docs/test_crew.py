"""The crew of examples/: side by side it does the same, also when it is killed in the middle of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.working import until
from tests.conftest import Desk
from tests.docs.recipe import PATIENCE_S

CREW = Path(__file__).parents[2] / "examples" / "crew"
SEED = 6  # the example's own: the editor sends the crew's work back once
REQUESTS = 17  # of the crew, and of the one that works alone
KILLS = {3: 4, 11: 3, 19: 1, 27: 1}  # after so many answers: how many requests may be in flight then


@pytest.fixture
def folder(desk: Desk) -> Path:
    return Path(shutil.copytree(CREW, desk.folder / "crew", ignore=shutil.ignore_patterns(".laneway", "__pycache__")))


def start(desk: Desk, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(folder / "crew.py"), *arguments]
    return subprocess.Popen(command, env=desk.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_crew_and_the_one_alone_come_to_the_same(desk: Desk, folder: Path) -> None:
    out, errors = start(desk, folder, "--latency", "0.1").communicate(timeout=PATIENCE_S)
    assert "Traceback" not in errors, errors
    told = {name: dict(re.findall(r"(\w+) ([\w.]+)", row)) for name, row in re.findall(r"^ *(\w+): (.*)$", out, re.M)}
    for name in ("crew", "single"):
        assert told[name]["requests"] == str(REQUESTS)
        assert told[name]["sent_back"] == "1"
        assert told[name]["good_enough"] == "True"
    assert "Simulated answer" in out


def test_a_killed_crew_goes_on_and_repeats_nothing(
    desk: Desk, folder: Path, simulate: Callable[..., SimulatorProcess]
) -> None:
    simulator = simulate(latency=0.1, output_tokens=64, seed=SEED)
    desk.env["LANEWAY_ACCOUNTS__MAIN__BASE_URL"] = simulator.url
    for answered in KILLS:
        crew = start(desk, folder, "--real", "--continue")
        until(lambda: simulator.stats()["completed"] >= answered)  # noqa: B023 - it is called at once
        crew.kill()
        crew.communicate()
    out, errors = start(desk, folder, "--real", "--continue").communicate(timeout=PATIENCE_S)
    assert out.count(f"requests {REQUESTS}") == 2, out + errors
    assert simulator.stats()["max_in_flight"] > 1, "the one alone asks one after the other, the crew side by side"
    assert simulator.stats()["requests"] <= 2 * REQUESTS + sum(KILLS.values())
