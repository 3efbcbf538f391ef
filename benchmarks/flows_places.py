"""Where the programs of ``flows`` run: a folder with its config, a simulator, a store, workers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import command, environment, workplace
from benchmarks.documents import ANSWER_TOKENS, LATENCY_S
from benchmarks.fleet import store_of
from benchmarks.flows_bound import BURST_S, models
from benchmarks.killing import Program
from laneway.simulator.process import SimulatorProcess

APP = "benchmarks.flows_app"
ROOT = Path(__file__).parent.parent
WORKER_S = 30.0  # in which a worker must be there
PATIENCE_S = 1200.0  # for one program


@dataclass(frozen=True)
class Place:
    folder: Path
    simulator: SimulatorProcess
    store: str

    @property
    def environment(self) -> Mapping[str, str]:
        return environment(self.simulator.url, KEY="sk-benchmark", PYTHONPATH=str(ROOT))

    def program(self, name: str, n: int, *, elsewhere: bool = False) -> Program:
        told = [sys.executable, "-m", APP, name, self.store, str(n), *(["elsewhere"] if elsewhere else [])]
        return Program(told, self.folder, self.environment)

    def run(self, name: str, n: int, *, elsewhere: bool = False) -> dict[str, Any]:
        """One program to its end. Raises RuntimeError with its words."""
        program = self.program(name, n, elsewhere=elsewhere)
        done = subprocess.run(
            program.command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        if done.returncode or not done.stdout:
            raise RuntimeError(f"{name}: exit {done.returncode}: {done.stderr[-2000:]}")
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said

    def worker(self) -> subprocess.Popen[bytes]:
        """``laneway worker``, in a group of its own."""
        return subprocess.Popen(
            command("worker", "--app", f"{APP}:lw", "--store", self.store),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @contextmanager
    def workers(self, n: int) -> Iterator[list[subprocess.Popen[bytes]]]:
        """That many, from when they are there to the end of the block. The list may be changed."""
        fleet = [self.worker() for _ in range(n)]
        try:
            self._await(n)
            yield fleet
        finally:
            for one in fleet:
                one.terminate()
            for one in fleet:
                one.wait(60)

    def _await(self, n: int) -> None:
        look = command("status", "--json", "--store", self.store)
        until = time.monotonic() + WORKER_S
        while time.monotonic() < until:
            said = subprocess.run(look, cwd=self.folder, env=self.environment, capture_output=True, check=True).stdout
            if len(json.loads(said)["workers"]) >= n:
                return
        raise RuntimeError(f"{n} workers are not there after {WORKER_S:g} s")


@contextmanager
def place(
    kind: str = "sqlite", *, requests_per_minute: float | None = None, concurrency: int | None = None, pace: float = 1.0
) -> Iterator[Place]:
    """A fresh one. ``kind`` of the store. ``pace``: what the latencies are divided by. ``concurrency``: of the account,
    known to us; the simulator lets all in."""
    with workplace() as folder:
        file = folder / "models.json"
        quick = {name: {**model, "latency": model["latency"] / pace} for name, model in models().items()}
        file.write_text(json.dumps(quick))
        simulator = SimulatorProcess(
            models=file, rpm=requests_per_minute, burst=BURST_S, output_tokens=ANSWER_TOKENS, latency=0
        )
        with simulator, store_of(kind, folder) as store:
            limits = {"requests_per_minute": requests_per_minute, "concurrency": concurrency}
            (folder / "laneway.toml").write_text(_config(simulator.url, limits))
            yield Place(folder, simulator, store)


def _config(url: str, limits: Mapping[str, float | None]) -> str:
    text = f'[accounts.main]\nprovider = "openai"\nbase_url = "{url}"\napi_key_env = "KEY"\n'
    text += "".join(f"{name} = {value:g}\n" for name, value in limits.items() if value is not None)
    for step in LATENCY_S:
        text += f'[models.{step}]\naccount = "main"\nid = "{step}"\ninput_price = 0.15\noutput_price = 0.6\n'
    return text
