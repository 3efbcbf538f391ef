"""Several workers and others on one store: who submits and who follows needs the store and the config, not the app."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.working import APP, at_work, end, until
from tests.conftest import Desk

CONFIG = """
app = "tasks:lw"
[accounts.main]
provider = "openai"
concurrency = 12
[models.small]
account = "main"
id = "gpt-4o-mini"
[types.greet]
prompt = "greet.j2"
lane = "greetings"
"""


@pytest.fixture
def elsewhere(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Another folder, as on another machine: the same config and store, no app."""
    desk.env["LANEWAY_STORE"] = f"sqlite:///{desk.folder / 'shared.db'}"
    other = Desk(Path(tmp_path_factory.mktemp("elsewhere")), desk.env)
    for one in (desk, other):
        one.write("laneway.toml", CONFIG)
        one.write("greet.j2", "Say hello to {{ name }}.")
    desk.write("tasks.py", APP)
    return other


def test_submit_and_follow_from_another_folder_without_the_app(
    desk: Desk, elsewhere: Desk, simulate: Callable[..., SimulatorProcess]
) -> None:
    simulate()
    people = "".join(json.dumps({"name": f"n{i}"}) + "\n" for i in range(5))
    elsewhere.write("people.jsonl", people)
    with at_work(desk, "--lanes", "greetings") as (worker, ready):
        assert ready["store"] == "shared.db"
        submitted = elsewhere.run("submit", "greet", "--file", "people.jsonl", "--json").json
        followed = elsewhere.run("results", str(submitted["run_id"]), "--follow")
        assert (followed.code, len(followed.out.splitlines())) == (0, 5)
        one = elsewhere.run("submit", "greet", "name=Ada", "--wait")
        assert (one.code, one.out[:16]) == (0, "Simulated answer")
        worker.terminate()
        assert end(worker)[0] == 0


def test_status_tells_of_each_worker_what_it_runs(desk: Desk, elsewhere: Desk) -> None:
    def workers() -> dict[str, dict[str, Any]]:
        return {one["id"]: one for one in elsewhere.run("status", "--json").json["workers"]}

    with at_work(desk, "--lanes", "slow") as (a, ready), at_work(desk, "--lanes", "quick") as (b, idle):
        for gate in "xy":
            desk.run("submit", "slow", f"gate={gate}")
        until(lambda: workers()[ready["worker"]]["running"] == 2, "both are in flight")
        busy = workers()[ready["worker"]]
        assert (busy["pid"], busy["lease"]) == (ready["pid"], "held")
        assert busy["lanes"].keys() == {"slow"}
        assert busy["lanes"]["slow"]["running"] == 2
        assert 0 <= busy["lanes"]["slow"]["oldest_s"] < 60
        assert workers()[idle["worker"]]["lanes"] == {}
        said = elsewhere.run("status").out
        assert f"worker {ready['worker']}: 2 running, heartbeat " in said
        assert "\n    lane slow: 2 running, the oldest began " in said
        assert max(map(len, said.splitlines())) <= 80
        for gate in "xy":
            desk.write(gate, "")
        for worker in (a, b):
            worker.terminate()
            assert end(worker)[0] == 0
