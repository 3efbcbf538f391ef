"""``laneway submit``: tasks for workers, from the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from laneway.simulator.process import SimulatorProcess
from tests.cli.test_steer import configure, worker
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

APP = """
from laneway import Laneway
lw = Laneway()

@lw.task
async def double(n: int, name: str = "") -> dict:
    return {"n": n * 2, "name": name}

@lw.task
async def bad():
    raise ValueError("never")
"""


def test_single_tasks_are_printed_by_id_and_waited_for(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk)
    desk.write("tasks.py", APP)
    first = desk.run("submit", "ask", "text=hello", "--key", "k", "--urgency", "urgent", "--lane", "legal")
    assert first.out == "1\n"
    assert "no worker serves this store; `laneway worker` does it" in first.err
    assert desk.run("submit", "ask", "text=hello", "--key", "k", "--json").json == {"task": 1, "key": "k"}
    assert desk.run("submit", "ask", "text=other", "--key", "k", "--json").json["error"]["kind"] == "conflict"
    explained = desk.run("explain", "k", "--json").json
    assert (explained["route"]["lane"], explained["route"]["urgency"]) == ("legal", "urgent")
    with worker(desk):
        assert "imulated answer" in desk.run("submit", "ask", "text=hello", "--key", "k", "--wait").out
        call = ("submit", "double", "n=21", 'name:="x"', "--app", "tasks:lw")
        assert desk.run(*call, "--timeout", "0", "--json").json["error"]["kind"] == "timeout"
    desk.write(
        "laneway.toml",
        (desk.folder / "laneway.toml").read_text().replace("[accounts", 'app = "tasks:lw"\n[accounts', 1),
    )
    with worker(desk):
        assert json.loads(desk.run("submit", "double", "n=21", "name=x", "--wait").out) == {"n": 42, "name": "x"}
        failed = desk.run("submit", "bad", "--wait", "--json")
        assert failed.code == 1
        assert "ValueError: never" in failed.json["error"]["message"]


def test_a_file_is_a_run_of_its_own(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk)
    desk.write("tasks.py", APP)
    desk.write("in.csv", "id,text\n" + "".join(f"{i},t{i}\n" for i in range(7)))
    done = desk.run("submit", "ask", "--file", "in.csv", "--tags", "a, b")
    assert done.out == "run 1\n"
    assert "7 tasks; `laneway results 1 --follow`" in done.err
    assert desk.run("retry", "--where", "tag=b,state=failed", "--json").json["matched"] == 0
    assert desk.run("cancel", "--where", "tag=b,key=[56]", "--json").json["matched"] == 2
    desk.write(
        "laneway.toml",
        (desk.folder / "laneway.toml").read_text().replace("[accounts", 'app = "tasks:lw"\n[accounts', 1),
    )
    with worker(desk):
        rows = desk.run("submit", "double", "-", "--wait", stdin='{"n": 1}\n[2, "b"]\n3\n')
        assert rows.code == 0, rows.err
        assert sorted(json.loads(row)["output"]["n"] for row in rows.out.splitlines()) == [2, 4, 6]
        followed = desk.run("results", "1", "--follow")
        assert sorted(json.loads(row)["id"] for row in followed.out.splitlines()) == ["0", "1", "2", "3", "4"]
    assert desk.run("submit", "double", "-", "--json", stdin='{"n": 1}\n{"m": 2}\n').json["error"]["kind"] == "input"
    assert len(desk.run("status", "--json").json["runs"]) == 2, "nothing of the bad file is left"


def test_a_scheduled_task_waits_and_starts_on_time_on_an_idle_worker(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk)
    desk.run("submit", "ask", "text=later", "--delay", "1h")
    desk.run("submit", "ask", "text=tomorrow", "--at", "2099-01-01 08:00")
    assert "state: waiting for the time set, at " in desk.run("explain", "1").out
    status = desk.run("status")
    assert "waiting for the time set: 2, the next at " in status.out
    with worker(desk):
        began = time.time()
        said = desk.run("submit", "ask", "text=soon", "--delay", "2s", "--wait", "--json")
        assert said.code == 0
        attempt = desk.run("explain", str(said.json["task"]), "--json").json["attempts"][0]
        assert 2.0 <= attempt["started_at"] - began < 8.0
    assert desk.run("status", "--json").json["waiting"][0]["tasks"] == 2


def test_what_cannot_be_submitted(desk: Desk) -> None:
    configure(desk)
    desk.write("tasks.py", APP)
    for arguments, kind, said in (
        (("none", "text=x"), "usage", "no task type 'none'"),
        (("ask", "text"), "usage", "'text' is no field"),
        (("ask", "text:=x"), "usage", "not JSON"),
        (("ask", "other=x"), "input", "text"),
        (("ask", "text=x", "--at", "noon"), "usage", "'noon' is no time"),
        (("ask", "text=x", "--at", "18:00", "--delay", "1s"), "usage", "either at= or delay="),
        (("ask", "text=x", "--urgency", "now"), "input", "now"),
        (("ask", "text=x", "--model", "huge"), "input", "no model 'huge'"),
        (("ask", "text=x", "--file", "f"), "usage", "for many"),
        (("double", "m=1", "--app", "tasks:lw"), "usage", "double"),
        (("triple", "m=1", "--app", "tasks:lw"), "not_found", "no task is registered as 'triple'"),
    ):
        error = desk.run("submit", *arguments, "--json").json["error"]
        assert (error["kind"], said in error["message"]) == (kind, True), error
        assert error["hint"]
