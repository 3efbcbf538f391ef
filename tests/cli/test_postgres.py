"""The same commands on PostgreSQL: workers that are killed, or stopped for a while, and a server that restarts."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from benchmarks.postgres import PostgresServer
from laneway.simulator.process import SimulatorProcess
from tests.cli.test_steer import configure
from tests.cli.working import PATIENCE_S, until
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]
LEASE_S = 10.0
CONCURRENCY = 4  # of the account


@pytest.fixture
def fleet(desk: Desk, postgres_url: str) -> Desk:
    """A desk whose store is in PostgreSQL, as another machine would see it too."""
    configure(desk)
    desk.env["LANEWAY_STORE"] = postgres_url
    return desk


@contextmanager
def workers(desk: Desk, n: int) -> Iterator[list[subprocess.Popen[str]]]:
    """So many, all at work. What they say is read when they have ended."""
    with ExitStack() as stack:
        started = []
        for _ in range(n):
            process = desk.start("worker")
            stack.callback(end, process)
            started.append(process)
        until(lambda: len(desk.run("status", "--json").json["workers"]) == n)
        yield started


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        _, said = process.communicate()
    assert "Traceback" not in said, said


def submit(desk: Desk, n: int) -> int:
    desk.write("in.csv", "id,text\n" + "".join(f"{i},text {i}\n" for i in range(n)))
    said = desk.run("submit", "ask", "--file", "in.csv", "--json")
    assert said.code == 0, said.err
    return int(said.json["run_id"])


def running(desk: Desk) -> dict[int, int]:
    """How many tasks each worker runs, by its process."""
    return {one["pid"]: one["running"] for one in desk.run("status", "--json").json["workers"]}


def ended_once(desk: Desk, run: int, n: int) -> None:
    """Wait for the run's end: there is one result of each task."""
    followed = desk.run("results", str(run), "--follow", "--json")
    assert followed.code == 0, followed.err
    rows = [json.loads(row) for row in followed.out.splitlines()]
    assert sorted(int(row["key"]) for row in rows) == list(range(n))
    assert {row["status"] for row in rows} == {"succeeded"}


def test_a_file_is_run_and_not_paid_again(desk: Desk, simulate: Simulate, postgres_url: str) -> None:
    simulator = simulate()
    desk.batch("tasks.jsonl", 30)
    command = ("run", "tasks.jsonl", "--store", postgres_url, "--json")
    assert desk.run(*command).json["tasks"]["succeeded"] == 30
    assert sorted(row["custom_id"] for row in desk.rows("tasks.results.jsonl")) == sorted(f"t{i}" for i in range(30))
    again = desk.run(*command).json
    assert (again["calls"], again["tasks"]["succeeded"]) == (0, 30)
    assert simulator.stats()["requests"] == 30
    assert not (desk.folder / ".laneway").exists()


def test_what_a_killed_worker_held_is_done_by_another(fleet: Desk, simulate: Simulate) -> None:
    simulator, tasks = simulate(latency=5.0), 24  # long enough to be seen, whatever else the machine does
    with workers(fleet, 2) as (one, other):
        run = submit(fleet, tasks)
        until(lambda: len(busy := running(fleet)) == 2 and all(busy.values()))
        simulator.control(latency=0.5)
        one.kill()
        killed = time.time()
        ended_once(fleet, run, tasks)
        assert list(running(fleet)) == [other.pid]
    lost = ledger(fleet, "outcome = 'lost'")
    assert 0 < len(lost) <= CONCURRENCY
    assert ledger(fleet, "outcome = 'ok'").keys() == set(range(1, tasks + 1))
    assert simulator.stats()["requests"] <= tasks + len(lost)
    again = ledger(fleet, "fence > 1")
    assert again.keys() == lost.keys()
    assert max(again.values()) - killed < 1.5 * LEASE_S


def test_a_worker_that_was_stopped_and_goes_on_does_no_harm(fleet: Desk, simulate: Simulate) -> None:
    simulator, tasks = simulate(latency=5.0), 24  # long enough to be seen, whatever else the machine does
    with workers(fleet, 2) as (one, other):
        run = submit(fleet, tasks)
        until(lambda: len(busy := running(fleet)) == 2 and all(busy.values()))
        simulator.control(latency=0.5)
        one.send_signal(signal.SIGSTOP)
        until(lambda: list(running(fleet)) == [other.pid])
        one.send_signal(signal.SIGCONT)
        ended_once(fleet, run, tasks)
        until(lambda: set(running(fleet)) == {one.pid, other.pid})  # it has joined again
        run = submit(fleet, 8)
        ended_once(fleet, run, 8)
    given_up = ledger(fleet, "fence = 1 AND outcome = 'lost'")
    assert 0 < len(given_up) <= CONCURRENCY
    assert simulator.stats()["requests"] <= tasks + 8 + len(given_up)


def test_a_server_that_restarts_again_and_again(
    fleet: Desk, simulate: Simulate, postgres_server: PostgresServer
) -> None:
    fleet.env["LANEWAY_STORE"] = postgres_server.url()
    simulator, tasks = simulate(latency=0.2), 80
    with workers(fleet, 2):
        run = submit(fleet, tasks)
        follower = fleet.start("results", str(run), "--follow", "--json")
        assert follower.stdout is not None
        first = follower.stdout.readline()  # who finds no server at its start does not wait for one
        for part in (1, 2, 3):
            reach(fleet, run, part * tasks // 5)
            postgres_server.restart("fast" if part == 2 else "immediate")
        followed = first + follower.stdout.read()
        _, said = follower.communicate(timeout=PATIENCE_S)
        assert follower.returncode == 0, said
        assert sorted(json.loads(row)["task"] for row in followed.splitlines()) == list(range(1, tasks + 1))
        ended_once(fleet, run, tasks)
    assert simulator.stats()["requests"] == tasks


def reach(desk: Desk, run: int, n: int) -> None:
    """Wait until so many tasks of the run have succeeded."""
    until(lambda: desk.run("status", str(run), "--json").json["runs"][0]["tasks"].get("succeeded", 0) >= n)


def ledger(desk: Desk, where: str) -> dict[int, float]:
    """When the calls of this kind began, by task."""
    with psycopg.connect(desk.env["LANEWAY_STORE"]) as db:
        return dict(db.execute(f"SELECT task_id, started_at FROM laneway.attempt WHERE {where}".encode()).fetchall())
