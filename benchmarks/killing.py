"""Kill -9 of a process and all its children at random moments, and start it again with the same command.

Before each kill the processes are stopped for a moment, so that the simulator's calls in flight can be counted: what
they bring is lost with the process, and paid. Any other call that is made twice was paid though its answer was there.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import tree_cpu_s
from laneway.simulator.process import SimulatorProcess

EARLY = 0.3  # of the kills: at any moment from the start on; the others after the first call of that life
LIFE_S = 0.8  # at most, from then on
POLL_S = 0.02


@dataclass(frozen=True)
class Program:
    """What is killed: it goes on where it was, and prints one object when all is done."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]

    def start(self, words: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            start_new_session=True,
        )


@dataclass
class Survival:
    """``said``: what the last life printed. ``in_flight``: calls, over all kills. ``cpu_s``: of all lives."""

    said: dict[str, Any]
    kills: int = 0
    in_flight: int = 0
    cpu_s: float = 0.0


def survive(program: Program, simulator: SimulatorProcess, kills: int, seed: int, patience: float) -> Survival:
    """Kill it up to ``kills`` times, then let it end. It may end before. ``patience``: seconds for all of it. Raises
    RuntimeError with its words when it fails or takes longer."""
    rng, survival = random.Random(seed), Survival({})
    give_up = time.monotonic() + patience
    with tempfile.TemporaryFile() as words:

        def failed(why: str) -> RuntimeError:
            words.seek(0)
            return RuntimeError(f"{program.command}: {why}: {words.read().decode(errors='replace')[-2000:]}")

        while True:
            process = program.start(words)
            try:
                if survival.kills < kills and _reach(_moment(process, simulator, rng), process, give_up):
                    _freeze(process, simulator, survival)
                    continue
                out, _ = process.communicate(timeout=max(1.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise failed(f"not done after {patience:g} s and {survival.kills} kills") from None
            finally:
                _end(process)
            if process.returncode or not out:
                raise failed(f"exit {process.returncode}")
            survival.said = json.loads(out.splitlines()[-1])
            survival.cpu_s += survival.said["cpu_s"]
            return survival


def _moment(process: subprocess.Popen[bytes], simulator: SimulatorProcess, rng: random.Random) -> Callable[[], bool]:
    """Whether the time has come."""
    early, life = rng.random() < EARLY, rng.uniform(0.0, LIFE_S)
    calls = simulator.stats()["requests"]
    until = time.monotonic() + life if early else None

    def come() -> bool:
        nonlocal until
        if until is None and simulator.stats()["requests"] > calls:
            until = time.monotonic() + life
        return until is not None and time.monotonic() >= until

    return come


def _reach(come: Callable[[], bool], process: subprocess.Popen[bytes], give_up: float) -> bool:
    """False when the process ended first."""
    while process.poll() is None:
        if come():
            return True
        if time.monotonic() > give_up:
            raise subprocess.TimeoutExpired(process.args, 0)
        time.sleep(POLL_S)
    return False


def _freeze(process: subprocess.Popen[bytes], simulator: SimulatorProcess, survival: Survival) -> None:
    os.killpg(process.pid, signal.SIGSTOP)
    survival.kills += 1
    survival.in_flight += simulator.stats()["in_flight"]
    survival.cpu_s += tree_cpu_s(process.pid)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its whole group, by its own id; one that has ended is left alone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
