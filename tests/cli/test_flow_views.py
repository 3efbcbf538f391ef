"""Looking at flows, and deciding about them, through the command; and two workers on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.test_flows import APP, CONFIG
from tests.cli.working import at_work, until
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]
FLOWS = (
    APP
    + """
@lw.flow
async def both(doc: str) -> str:
    first = await report(doc)
    said = await flow.wait_event("approval", timeout=3600)
    return await entities(doc + said["by"])
"""
)


@pytest.fixture
def office(desk: Desk) -> Desk:
    desk.write("tasks.py", FLOWS)
    desk.write("laneway.toml", CONFIG)
    desk.write("in.jsonl", "".join(f'{{"id": "d{i}", "doc": "risky {i}"}}\n' for i in range(4)))
    return desk


def explained(desk: Desk, ref: str) -> dict[str, Any]:
    return desk.run("explain", ref, "--json").json


def test_a_run_of_flows_is_shown_as_trees_and_as_a_graph(office: Desk, simulate: Simulate) -> None:
    simulate()
    done = office.run("run", "--flow", "report", "in.jsonl", "--json")
    assert done.code == 0, done.err
    path = done.json["critical_path"]
    assert path["flows"] == 4
    assert {"entities", "review"} & path["by_type"].keys() == path["by_type"].keys() - {"report.call"}
    made_of = path["own_s"] + sum(one["queued_s"] + one["ran_s"] for one in path["by_type"].values())
    assert made_of == pytest.approx(path["seconds"], abs=0.01)
    assert "from a flow's first step to its end" in office.run("run", "--flow", "report", "in.jsonl").err

    run = str(done.json["run_id"])
    shown = office.run("status", run, "--tree", "--json").json
    assert (shown["flows"], len(shown["trees"])) == (4, 4)
    tree = shown["trees"][0]
    assert (tree["type"], tree["state"], tree["flow"], tree["model"]) == ("report", "succeeded", True, None)
    assert [child["type"] for child in tree["children"]] == ["entities", "report.call", "review"]
    assert tree["children"][1]["model"] == "small"
    assert tree["cost_usd"] == pytest.approx(sum(child["cost_usd"] for child in tree["children"]))
    people = office.run("status", run, "--tree").out
    assert people.count("└─ review") == 4
    one = office.run("status", "d1", "--tree", "--json").json["trees"]
    assert [tree["name"] for tree in one] == ["d1"]

    drawn = office.run("graph", run).out
    assert "flowchart TD" in drawn
    assert "report × 4<br/>4 succeeded" in drawn
    graph = office.run("graph", "d1", "--json").json
    names = {node["id"]: node["label"] for node in graph["nodes"]}
    edges = {(names[edge["from"]], names[edge["to"]]) for edge in graph["edges"]}
    assert edges == {
        ("report", "entities"),
        ("report", "report.call"),
        ("entities", "review"),
        ("report.call", "review"),
    }
    assert office.run("graph", "report").out == office.run("graph", "flow", str(one[0]["task"] + 2)).out, "the last one"
    for words, kind in ((("unheard-of",), "not_found"), (("run", "77"), "not_found"), (("a", "b", "c"), "usage")):
        refused = office.run("graph", *words, "--json")
        assert (refused.code, refused.json["error"]["kind"]) == (2, kind)
    assert office.run("status", "x", "--json").json["error"]["kind"] == "usage"
    assert "<" not in office.run("status").out


def test_a_flow_tells_its_steps_its_children_and_what_was_said_to_it(office: Desk, simulate: Simulate) -> None:
    simulate()
    with at_work(office):
        id_ = office.run("submit", "both", "doc=plain", "--key", "k", "--json").json["task"]
        until(lambda: explained(office, "k")["wait_reason"] == "event", "it waits for the event")
        assert "waiting for an event" in office.run("status", "flow", "k", "--tree").out
        assert "for an event from outside: 1" in office.run("status").out
        assert office.run("send-event", "k", "approval", '{"by": "Ann"}').code == 0
        until(lambda: explained(office, "k")["state"] == "succeeded", "it has heard")
    said = explained(office, str(id_))
    flow = said["flow"]
    assert (said["model"], said["route"]["model"]) == ("", "")
    assert [len(step["began"]) for step in flow["steps"]] == [1, 0, 1]
    assert flow["events"][0]["data"] == {"by": "Ann"}
    assert flow["orphans"] == []
    assert [child["type"] for child in flow["tree"]["children"]] == ["report", "entities"]
    people = office.run("explain", "k").out
    assert "heard event approval, began entities" in people
    assert "<" not in people
    drawn = office.run("graph", "k").out
    assert 'subgraph t2["report' in drawn
    assert '{{"approval"}}:::event' in drawn
    hidden = office.write("laneway.toml", "hide_content = true\n" + CONFIG)
    assert "Ann" not in office.run("explain", "k").out + office.run("explain", "k", "--json").out, hidden


def test_a_flow_is_cancelled_and_retried_with_its_tree(office: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    with at_work(office):
        office.run("submit", "both", "doc=plain", "--key", "k")
        until(lambda: explained(office, "k")["wait_reason"] == "event", "it waits for the event")
        paid = simulator.stats()["requests"]
        assert office.run("cancel", "k").code == 0
        until(lambda: explained(office, "k")["state"] == "cancelled", "it is cancelled")
        assert office.run("retry", "k").code == 0
        until(lambda: explained(office, "k")["wait_reason"] == "event", "it waits again")
        assert simulator.stats()["requests"] == paid, "what its children had done is kept"
        office.run("send-event", "k", "approval", '{"by": "Bob"}')
        until(lambda: explained(office, "k")["state"] == "succeeded", "it has ended")


def test_an_orphan_is_reported(office: Desk, simulate: Simulate) -> None:
    simulate()
    with at_work(office):
        office.run("submit", "both", "doc=plain", "--key", "k")
        until(lambda: explained(office, "k")["wait_reason"] == "event", "it waits for the event")
    office.write("tasks.py", FLOWS.replace("first = await report(doc)", "first = await entities('other')"))
    with at_work(office):
        office.run("send-event", "k", "approval", '{"by": "Ann"}')
        until(lambda: explained(office, "k")["state"] == "succeeded", "it has ended")
    (orphan,) = explained(office, "k")["flow"]["orphans"]
    assert orphan.startswith("report(")
    assert "orphans: 1" in office.run("explain", "k").out


def test_two_workers_on_postgres_carry_out_what_a_third_shows(
    office: Desk, simulate: Simulate, postgres_url: str
) -> None:
    simulator = simulate(latency=0.1)
    office.env["LANEWAY_STORE"] = postgres_url
    with at_work(office), at_work(office):
        office.write("calls.jsonl", "".join(f'{{"doc": "risky {i}"}}\n' for i in range(4)))
        said = office.run("submit", "report", "--file", "calls.jsonl", "--json").json
        followed = office.run("results", str(said["run_id"]), "--follow", "--json")
        assert followed.code == 0, followed.err
        rows = [json.loads(row) for row in followed.out.splitlines()]
        assert {(row["status"], row["model"]) for row in rows} == {("succeeded", "")}
        assert sum(row["cost_usd"] for row in rows) > 0
    done = office.run("run", "--flow", "report", "in.jsonl", "-o", "out.jsonl", "--json")
    assert done.code == 0, done.err
    assert (done.json["calls"], simulator.stats()["requests"]) == (12, 24)
    assert {name: one["tasks"] for name, one in done.json["by_type"].items()}["review"] == 4
    assert done.json["critical_path"]["flows"] == 4
    again = office.run("run", "--flow", "report", "in.jsonl", "-o", "out.jsonl", "--json")
    assert (again.code, again.json["calls"]) == (0, 0)
    shown = office.run("status", "run", str(done.json["run_id"]), "--tree", "--json").json
    assert [len(tree["children"]) for tree in shown["trees"]] == [3] * 4
    assert "review × 4<br/>4 succeeded" in office.run("graph", "run", str(done.json["run_id"])).out
    stopped = office.run("run", "--flow", "report", "in.jsonl", "-o", "o2.jsonl", "--max-cost", "0.0001", "--json")
    assert (stopped.code, stopped.json["stopped_reason"]) == (3, "budget"), stopped.err
    assert office.run("store", "check").code == 0
