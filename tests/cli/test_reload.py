"""SIGHUP: a worker and a server read their config again, while they work."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import urllib.request
from functools import partial

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.working import ask, at_work, states, until
from tests.conftest import Desk
from tests.server.conftest import serve as serve  # the fixture
from tests.server.served import CHAT, CONFIG, Serve, Served, Simulate

APP = 'app = "tasks:lw"\n'
NO_LANE = "[lanes.slow]\nconcurrency = 0\n"


class Said:
    """What a process says on standard error, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._process = process
        self._stream = process.stderr
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._stream is not None
        self.lines.extend(iter(self._stream.readline, ""))

    def end(self) -> int:
        """SIGTERM. Returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        self._thread.join()
        for stream in (self._process.stdout, self._stream):
            assert stream is not None
            stream.close()
        return code

    def has(self, words: str) -> bool:
        return any(words in line for line in [*self.lines])


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_worker_goes_by_its_new_config_and_finishes_what_it_has(desk: Desk, processes: str) -> None:
    with at_work(desk, "--processes", processes, "--health", "0", "--log-format", "json") as (worker, ready):
        said = Said(worker)
        desk.run("submit", "slow", "gate=a")
        until((desk.folder / "a.begun").exists, "it has begun")
        desk.write("laneway.toml", APP + "[lanes.slow]\nconcurrency = 1\n")
        worker.send_signal(signal.SIGHUP)
        until(lambda: sum("goes by a new config" in line for line in [*said.lines]) == int(processes), "it is read")
        assert said.has('"changed":"lanes.slow"')
        desk.run("submit", "slow", "gate=b")
        until((desk.folder / "b.begun").exists, "the new worker does it, while the old one waits for its own")
        desk.run("submit", "slow", "gate=c")
        assert ask(f"{ready['health']}/readyz")[0] == 200
        desk.write("a", "")
        until(lambda: states(desk)["slow"].get("succeeded") == 1, "the old one has finished")
        desk.write("b", "")
        desk.write("c", "")
        until(lambda: states(desk)["slow"] == {"succeeded": 3}, "all are done")
        assert said.end() == 0
        assert not said.has("broke off")


def test_a_config_that_is_wrong_is_refused_and_the_old_one_holds(desk: Desk) -> None:
    with at_work(desk, "--health", "0") as (worker, ready):
        said = Said(worker)
        for wrong, words in ((APP + NO_LANE, "lanes.slow.concurrency"), ("app = ", "laneway.toml")):
            desk.write("laneway.toml", wrong)
            worker.send_signal(signal.SIGHUP)
            until(partial(said.has, words), "it says so")
            assert said.has("the new config is refused")
        desk.write("laneway.toml", APP)
        assert desk.run("submit", "quick", "n=4", "--wait").out == "8\n"
        assert ask(f"{ready['health']}/readyz")[0] == 200
        desk.write("laneway.toml", 'app = "others:lw"\n')
        worker.send_signal(signal.SIGHUP)
        until(lambda: said.has("app will hold after the next start"), "what cannot change is said")
        assert said.end() == 0


def calls_by(served: Served, body: object = CHAT) -> str:
    status, answer, _ = served.ask("/chat/completions", body)
    assert status == 200
    return str(answer["model"])


def test_a_server_routes_and_limits_by_its_new_config(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulator: SimulatorProcess = simulate()
    served = serve("-v", "--log-format", "json")
    said = Said(served.process)
    assert calls_by(served).startswith("gpt-4o-mini")
    desk.write(
        "laneway.toml",
        CONFIG.replace('model = "small"', 'model = "strong"')
        + '[models.third]\naccount = "main"\nid = "gpt-4.1"\ninput_price = 7\noutput_price = 7\n',
    )
    served.process.send_signal(signal.SIGHUP)
    until(lambda: said.has("goes by a new config"), "it is read")
    assert calls_by(served) == "gpt-4o", "the defaults changed"
    assert calls_by(served, {**CHAT, "model": "third"}) == "gpt-4.1", "a model was added"
    price = desk.run("explain", "3", "--json").json["attempts"][0]
    assert price["cost_usd"], "at its price"
    with urllib.request.urlopen(served.url.removesuffix("/v1") + "/readyz", timeout=30) as answer:
        assert json.loads(answer.read())["status"] == "ok"
    desk.write("laneway.toml", CONFIG.replace('account = "main"', 'account = "mian"'))
    served.process.send_signal(signal.SIGHUP)
    until(lambda: said.has("the new config is refused"), "it says so")
    assert calls_by(served, {**CHAT, "model": "third"}) == "gpt-4.1", "the one before holds"
    assert said.end() == 0
    assert simulator.stats()["completed"] == 4
