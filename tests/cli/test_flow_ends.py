"""How a run of flows ends that cannot go on: as one of plain tasks does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.test_flows import APP, CONFIG
from tests.cli.working import until
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]
FLOWS = (
    APP
    + """
@lw.flow
async def asking(doc: str) -> str:
    return await lw.call("small", "about " + doc)

@lw.flow
async def tasking(doc: str) -> str:
    return await entities(doc)

@lw.flow
async def approved(doc: str) -> str:
    return (await flow.wait_event("approval"))["by"]
"""
)
ROWS = 12


@pytest.fixture
def office(desk: Desk) -> Desk:
    desk.write("tasks.py", FLOWS)
    desk.write("laneway.toml", CONFIG)
    desk.write("in.jsonl", "".join(f'{{"id": "d{i}", "doc": "number {i}"}}\n' for i in range(ROWS)))
    return desk


@pytest.mark.parametrize("name", ["asking", "tasking"])
def test_a_paused_account_ends_it_and_the_same_command_goes_on(office: Desk, simulate: Simulate, name: str) -> None:
    """Whether a flow asks the model, or a function that it began. More flows are there than may be open."""
    simulate(key=["sk-good"])
    office.write("laneway.toml", CONFIG + "[flows]\nopen = 3\n")
    command = ("run", "--flow", name, "in.jsonl", "--json")
    stopped = office.run(*command)
    assert (stopped.code, stopped.json["stopped_reason"]) == (3, "account"), stopped.err
    assert stopped.json["tasks"]["remaining"] == ROWS
    office.env["OPENAI_API_KEY"] = "sk-good"
    done = office.run(*command)
    assert done.code == 0, done.err
    assert done.json["tasks"]["succeeded"] == ROWS


@pytest.mark.parametrize("name", ["asking", "tasking"])
def test_a_budget_that_is_used_up_ends_it_and_a_new_one_goes_on(office: Desk, simulate: Simulate, name: str) -> None:
    simulator = simulate(output_tokens=250)
    most = 0.0025  # USD; a call costs 0.0005
    command = ("run", "--flow", name, "in.jsonl", "--json")
    stopped = office.run(*command, "--max-cost", str(most))
    assert (stopped.code, stopped.json["stopped_reason"]) == (3, "budget"), stopped.err
    paid = simulator.stats()["requests"]
    assert 0 < paid < ROWS
    assert stopped.json["cost_usd"] <= most * 1.05
    assert stopped.json["tasks"]["remaining"] == ROWS - stopped.json["tasks"]["succeeded"] > 0
    done = office.run(*command)
    assert done.code == 0, done.err
    assert simulator.stats()["requests"] == ROWS, "nothing is paid twice"


def test_a_model_without_a_key_ends_it_where_a_prompt_type_needs_it_and_says_so_where_a_function_calls_it(
    office: Desk, simulate: Simulate
) -> None:
    simulator = simulate()
    prompted = "\n@lw.flow\nasync def prompted(doc: str) -> str:\n    return await flow.task('ask')(text=doc)\n"
    office.write("tasks.py", FLOWS + prompted)
    config = CONFIG.replace('provider = "openai"', 'provider = "openai"\napi_key_env = "OUR_KEY"')
    office.write("laneway.toml", config + '[types.ask]\n[defaults]\nmodel = "small"\n')
    stopped = office.run("run", "--flow", "prompted", "in.jsonl", "-o", "a.jsonl", "--json")
    assert (stopped.code, stopped.json["stopped_reason"]) == (3, "account"), stopped.err
    assert "OUR_KEY" in stopped.json["stopped_message"]
    failed = office.run("run", "--flow", "tasking", "in.jsonl", "-o", "b.jsonl", "--json")
    assert (failed.code, failed.json["tasks"]["failed"]) == (1, ROWS)
    assert "OUR_KEY" in failed.json["failures"][0]["message"]
    assert simulator.stats()["requests"] == 0
    office.env["OUR_KEY"] = "sk-test"
    assert office.run("run", "--flow", "prompted", "in.jsonl", "-o", "a.jsonl").code == 0


def test_a_budget_needs_the_price_of_every_model_that_a_flow_may_call(office: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    office.write("laneway.toml", CONFIG + '[models.ours]\naccount = "main"\nid = "our-own/model"\n')
    done = office.run("run", "--flow", "asking", "in.jsonl", "--max-cost", "1", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "budget")
    assert "ours" in done.json["error"]["message"]
    assert simulator.stats()["requests"] == 0


def test_a_flow_that_waits_for_an_event_keeps_it_open_and_says_so_once(office: Desk, simulate: Simulate) -> None:
    simulate()
    office.write("in.jsonl", '{"id": "a", "doc": "x"}\n{"id": "b", "doc": "y"}\n')
    run = office.start("run", "--flow", "approved", "in.jsonl", "--json")
    try:
        until(lambda: waiting(office) == 2, "both wait")
        sent = office.run("send-event", "a", "approval", '{"by": "Ann"}', "--json")
        assert (sent.code, sent.json["event"]) == (0, "approval")
        until(lambda: waiting(office) == 1, "one has heard")
        assert run.poll() is None
        assert office.run("send-event", "b", "approval", "-", stdin='{"by": "Bob"}').code == 0
        _, err = run.communicate(timeout=30)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 0, err
    assert err.count("wait for an event") == 1
    assert {row["id"]: row["output"] for row in office.rows("in.results.jsonl")} == {"a": "Ann", "b": "Bob"}
    late = office.run("send-event", "a", "approval", "1", "--json")
    assert (late.code, late.json["error"]["kind"]) == (2, "conflict")
    nobody = office.run("send-event", "nobody", "approval", "--json")
    assert (nobody.code, nobody.json["error"]["kind"]) == (2, "not_found")
    wrong = office.run("send-event", "a", "approval", "yes", "--json")
    assert (wrong.code, wrong.json["error"]["kind"]) == (2, "input")


def waiting(desk: Desk) -> int:
    """Flows that wait for an event."""
    if not (Path(desk.folder) / ".laneway" / "laneway.db").exists():
        return 0
    found = desk.run("status", "--json").json["waiting"]
    return sum(one["tasks"] for one in found if one["reason"] == "event")
