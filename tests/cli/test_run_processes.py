"""``laneway run --processes``: one run, several processes, on one set of limits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable

import apsw
import pytest

from laneway.app.runs.part import shares
from laneway.simulator.process import SimulatorProcess
from tests.cli.working import PATIENCE_S, until
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]


def begin(desk: Desk, tasks: int, concurrency: int) -> subprocess.Popen[str]:
    desk.batch("tasks.jsonl", tasks)
    return desk.start("run", "tasks.jsonl", "--processes", "2", "--concurrency", str(concurrency), "--json")


def helper(desk: Desk, run: subprocess.Popen[str]) -> int:
    """The other process, once it has a task in hand."""

    def others() -> list[int]:
        assert run.poll() is None, "two were never at work"
        at_work = [one["pid"] for one in desk.run("status", "--json").json["workers"] if one["running"]]
        return [pid for pid in at_work if pid != run.pid]

    return int(until(others, "two are at work")[0])


def ended(run: subprocess.Popen[str], code: int) -> tuple[dict[str, object], str]:
    out, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == code, err
    assert "Traceback" not in err, err
    return json.loads(out.splitlines()[-1]), err


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def workers(desk: Desk) -> int:
    """That made calls."""
    db = apsw.Connection(str(desk.folder / ".laneway" / "laneway.db"))
    (found,) = db.execute("SELECT count(DISTINCT worker_id) FROM attempt")
    db.close()
    return int(found[0])


def test_they_share_the_work_and_the_summary_tells_of_all(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate(latency=0.2)
    run = begin(desk, 200, 6)
    pid = helper(desk, run)
    said, err = ended(run, 0)
    assert workers(desk) == 2
    assert said["calls"] == simulator.stats()["requests"] == 200
    assert said["lost"] == said["retries"] == 0
    assert simulator.stats()["max_in_flight"] <= 6
    assert sorted(row["custom_id"] for row in desk.rows("tasks.results.jsonl")) == sorted(f"t{i}" for i in range(200))
    assert not is_alive(pid)
    assert "worker process" not in err


def test_one_that_is_killed_is_replaced_and_its_tasks_are_taken_over(desk: Desk, simulate: Simulate) -> None:
    simulate(latency=0.2)
    run = begin(desk, 250, 6)
    victim = helper(desk, run)
    os.kill(victim, signal.SIGKILL)
    said, err = ended(run, 0)
    assert f"worker process {victim} ended (SIGKILL); another takes its place" in err
    assert len(desk.rows("tasks.results.jsonl")) == 250
    assert said["calls"] == 250 + int(str(said["lost"]))


def test_ctrl_c_drains_all_and_the_same_command_goes_on(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate(latency=0.3)
    run = begin(desk, 300, 6)
    pid = helper(desk, run)
    run.send_signal(signal.SIGINT)
    said, _ = ended(run, 130)
    assert said["stopped_reason"] == "interrupted"
    assert not is_alive(pid)
    assert len(desk.rows("tasks.results.jsonl")) == simulator.stats()["requests"] < 300
    simulator.control(latency=0.0)
    assert desk.run("run", "tasks.jsonl", "--processes", "2", "--concurrency", "6").code == 0
    assert simulator.stats()["requests"] == 300


def test_a_second_ctrl_c_breaks_all_off(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate(latency=60)
    run = begin(desk, 8, 4)
    helper(desk, run)
    run.send_signal(signal.SIGINT)
    assert run.stderr is not None
    while "once more" not in run.stderr.readline():
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    said, _ = ended(run, 130)
    assert said["tasks"]["remaining"] == 8  # type: ignore[index]
    assert simulator.stats()["completed"] == 0


def test_they_end_when_the_run_is_killed(desk: Desk, simulate: Simulate) -> None:
    simulate(latency=0.2)
    run = begin(desk, 2000, 4)
    pid = helper(desk, run)
    run.kill()
    run.communicate()
    until(lambda: not is_alive(pid), "it has gone with the run")


@pytest.mark.parametrize(
    ("processes", "concurrency", "expected"),
    [(1, None, [2000]), (3, None, [2000, 2000, 2000]), (3, 8, [4, 2, 2]), (4, 2, [1, 1]), (1, 5, [5])],
)
def test_calls_at_once_are_divided(processes: int, concurrency: int | None, expected: list[int]) -> None:
    assert shares(processes, concurrency, 2000) == expected
