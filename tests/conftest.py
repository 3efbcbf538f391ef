"""What all tests share: the real command as a process, the simulator beside it, and a real PostgreSQL."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from benchmarks.postgres import PostgresServer
from laneway.simulator.process import SimulatorProcess
from tests.postgres import Databases, databases
from tests.simulators import SimulatorThread

MANY = int(os.environ.get("LANEWAY_EXAMPLES") or 0)  # tries of what `tests/dispatch/test_invariants.py` draws, by hand
hypothesis.settings.register_profile("same every time", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("ever new", deadline=None, database=None)
hypothesis.settings.load_profile("ever new" if MANY else "same every time")


def pytest_collection_finish() -> None:
    """What all tests have imported stays: no search for garbage need go through it, which takes a third of a second."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of standard output."""
        data: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return data


@dataclass
class Desk:
    """A folder to work in, with the real command and an environment of its own."""

    folder: Path
    env: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "laneway", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments: str, stdin: str | None = None) -> Done:
        command = [sys.executable, "-m", "laneway", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def python(self, *arguments: str) -> Done:
        """Another program in the same folder."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def batch(self, name: str, n: int, **body: Any) -> Path:
        """An OpenAI Batch file of ``n`` tasks t0, t1, …"""
        rows = []
        for i in range(n):
            request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"hello {i}"}], **body}
            rows.append({"custom_id": f"t{i}", "method": "POST", "url": "/v1/chat/completions", "body": request})
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(row) for row in (self.folder / name).read_text().splitlines()]


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_as_in_a_terminal() -> None:
    """A script's shell lets what it puts into the background ignore SIGINT, and a child inherits that: the commands
    would ignore it too, where they do not handle it themselves."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LANEWAY_", "OPENAI_", "ANTHROPIC_"))
    }
    project = str(Path(__file__).parents[1])
    state = str(tmp_path_factory.mktemp("state"))  # what the user of this machine trusts is not asked
    return Desk(tmp_path, {**kept, "PYTHONPATH": project, "OPENAI_API_KEY": "sk-test", "XDG_STATE_HOME": state})


@pytest.fixture
def simulate(desk: Desk) -> Iterator[Callable[..., SimulatorProcess]]:
    """Start a simulator; the command finds it through OPENAI_BASE_URL."""
    started: list[SimulatorProcess] = []

    def start(**options: Any) -> SimulatorProcess:
        simulator = SimulatorThread(**{"latency": 0.02, "output_tokens": 10, **options}).start()
        started.append(simulator)
        desk.env["OPENAI_BASE_URL"] = simulator.url
        return simulator

    yield start
    for simulator in started:
        simulator.stop()


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[Databases]:
    """The PostgreSQL of this session of tests, started for the first that asks."""
    with databases() as made:
        yield made


@pytest.fixture
def postgres_url(postgres_databases: Databases) -> Iterator[str]:
    """An empty database."""
    url = postgres_databases.create()
    yield url
    postgres_databases.drop(url)


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A server of this test's own, to stop, kill and start again; with a disk that keeps what was committed."""
    with PostgresServer() as server:
        yield server
