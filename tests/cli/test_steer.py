"""The commands that steer, on the real command, with real runs and workers beside them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

CONFIG = """
[accounts.main]
provider = "openai"
concurrency = 4
[models.small]
account = "main"
id = "gpt-4o-mini"
input_price = 1
output_price = 1
context_window = 4000
[models.strong]
account = "main"
id = "gpt-4o"
[lanes.legal]
[types.ask]
prompt = "ask.j2"
[defaults]
model = "small"
"""


def configure(desk: Desk, more: str = "") -> None:
    desk.write("laneway.toml", CONFIG + more)
    desk.write("ask.j2", "Say: {{ text }}")


def until(true: Callable[[], Any], limit: float = 20.0) -> Any:
    """Wait for something that another process brings about."""
    end = time.monotonic() + limit
    while not (found := true()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
    return found


@contextmanager
def worker(desk: Desk) -> Iterator[None]:
    process = desk.start("worker")
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err


def test_a_paused_lane_holds_a_run_until_it_is_resumed(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    configure(desk)
    desk.batch("tasks.jsonl", 30, model="small")
    assert desk.run("pause", "lane", "general", "--json").json == {
        "paused": [{"kind": "lane", "name": "general", "changed": True}]
    }
    assert desk.run("pause", "lane:general").out == "lane general: was paused already\n"
    running = desk.start("run", "tasks.jsonl", "--json")
    assert running.stderr is not None
    said = running.stderr.readline()
    assert "everything that is left waits: lane general is paused (`laneway resume lane general`" in said
    status = desk.run("status")
    assert "general (paused)" in status.out
    assert "lane general was paused" in status.out
    assert all(len(line) <= 80 for line in status.out.splitlines() if not line.startswith(("    /", "worker")))
    assert simulator.stats()["requests"] == 0
    assert desk.run("resume", "lane", "general").out == "lane general: resumed\n"
    _, err = running.communicate(timeout=30)
    assert running.returncode == 0, err
    assert len(desk.rows("tasks.results.jsonl")) == 30
    assert desk.run("status", "--json").json["paused"] == []


def test_an_interrupted_run_names_what_holds_it(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk)
    desk.batch("tasks.jsonl", 3, model="small")
    desk.run("pause", "account", "main")
    running = desk.start("run", "tasks.jsonl", "--json")
    assert running.stderr is not None
    assert "account main is paused" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "paused by hand: account main; `laneway resume account main`" in err
    assert '"paused":["account main"]' in out
    assert "account main: paused by hand" in desk.run("status").out


def test_a_pause_of_what_there_is_not_is_refused(desk: Desk) -> None:
    configure(desk)
    for words, kind, said in (
        (("lane", "legl"), "not_found", "did you mean 'legal'?"),
        (("account", "other"), "not_found", "known: main"),
        (("run", "7"), "not_found", "no run 7"),
        (("run", "x"), "usage", "no run's number"),
        (("legal",), "usage", "write lane NAME"),
        (("lane",), "usage", "which lane?"),
    ):
        error = desk.run("pause", *words, "--json").json["error"]
        assert error["kind"] == kind
        assert said in error["message"] + error["hint"]
