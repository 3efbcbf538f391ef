from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.killing import Program, survive
from laneway.simulator.process import SimulatorProcess

CALLS = 12
# Asks one call after another and writes down which are answered. With ``forgetful`` it asks each anew after a restart.
SCRIPT = """
import json, os, sys, time, urllib.request
from pathlib import Path
url, n, forgetful = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "forgetful"
done = Path("done")
first = 0 if forgetful or not done.exists() else len(done.read_text())
Path("lives").open("a").write("x")
for i in range(first, n):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": str(i)}]}).encode()
    urllib.request.urlopen(urllib.request.Request(url + "/chat/completions", data=body)).read()
    done.open("a").write("x")
print(json.dumps({"cpu_s": time.process_time(), "ended": n}))
"""


def program(folder: Path, simulator: SimulatorProcess, how: str) -> Program:
    command = [sys.executable, "-c", SCRIPT, simulator.url, str(CALLS), how]
    return Program(command, folder, dict(os.environ))


@pytest.mark.parametrize("how", ["careful", "forgetful"])
def test_a_killed_program_is_started_again_until_it_ends_and_what_it_repeats_is_seen(tmp_path: Path, how: str) -> None:
    with SimulatorProcess(latency=0.15) as simulator:
        survival = survive(program(tmp_path, simulator, how), simulator, kills=4, seed=1, patience=60)
        calls = simulator.stats()["requests"]
    assert survival.kills == 4
    assert survival.said["ended"] == CALLS
    assert survival.cpu_s > survival.said["cpu_s"] > 0
    assert 1 <= len((tmp_path / "lives").read_text()) <= 5  # a kill may come before its first line
    repeated = calls - CALLS
    assert survival.in_flight > 0
    assert (repeated <= survival.in_flight) is (how == "careful")


def test_a_program_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    with SimulatorProcess(latency=0.1) as simulator:
        broken = Program([sys.executable, "-c", "raise SystemExit('no such flow')"], tmp_path, dict(os.environ))
        with pytest.raises(RuntimeError, match="no such flow"):
            survive(broken, simulator, kills=1, seed=0, patience=60)


def test_one_that_never_ends_is_stopped_within_its_time(tmp_path: Path) -> None:
    with SimulatorProcess(latency=0.1) as simulator:
        endless = [sys.executable, "-c", "import threading; threading.Event().wait()"]
        stuck = Program(endless, tmp_path, dict(os.environ))
        began = time.monotonic()
        with pytest.raises(RuntimeError, match="not done after 1 s"):
            survive(stuck, simulator, kills=0, seed=0, patience=1)
    assert time.monotonic() - began < 20
