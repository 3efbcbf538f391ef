"""A model that is away or slow, through the real command: its tasks go to their fallback, and the run says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

CONFIG = """
[accounts.oa]
provider = "openai"
base_url = "{oa}"
api_key_env = "OA_KEY"
concurrency = 20
[accounts.an]
provider = "openai"
base_url = "{an}"
api_key_env = "AN_KEY"
concurrency = 20
[models.gpt]
account = "oa"
id = "gpt-4o-mini"
[models.claude]
account = "an"
id = "gpt-4o"
[defaults]
model = "gpt"
fallbacks = ["claude"]
"""


@pytest.fixture
def healthy(desk: Desk, simulate: Simulate) -> SimulatorProcess:
    """The fallback's provider."""
    desk.env |= {"OA_KEY": "sk-oa-1111", "AN_KEY": "sk-an-2222"}
    desk.batch("tasks.jsonl", 100, model="auto")
    return simulate(key=["sk-an-2222"])


def _away(desk: Desk, simulate: Simulate, how: str) -> str:
    match how:
        case "errors":
            return simulate(error_rate=1.0).url
        case "key":
            return simulate(key=["sk-another"]).url
        case _:
            return "http://127.0.0.1:9/v1"  # nothing listens there


@pytest.mark.parametrize("how", ["errors", "key", "nothing"])
def test_the_fallback_stands_in(desk: Desk, simulate: Simulate, healthy: SimulatorProcess, how: str) -> None:
    desk.write("laneway.toml", CONFIG.format(oa=_away(desk, simulate, how), an=healthy.url))
    done = desk.run("run", "tasks.jsonl", "--json")
    assert done.code == 0, done.err
    assert done.json["tasks"]["succeeded"] == 100
    assert done.json["diverted"] == {"tasks": 100, "ways": [{"from": "gpt", "to": "claude", "tasks": 100}]}
    assert healthy.stats()["completed"] == 100
    assert done.err.count("model gpt is away (account oa ") == 1
    told = desk.run("explain", "t7").out
    assert "went to claude at" in told
    assert "gpt was away (account oa" in told
    explained = desk.run("explain", "t7", "--json").json
    assert [(one["from"], one["to"]) for one in explained["diverted"]] == [("gpt", "claude")]
    assert all(one["outcome"] in ("ok", "transient", "account") for one in explained["attempts"])


def test_the_fallback_stands_in_for_a_model_that_is_far_slower_than_it_was(
    desk: Desk, simulate: Simulate, healthy: SimulatorProcess
) -> None:
    own = simulate(key=["sk-oa-1111"], latency=0.1)
    desk.write("laneway.toml", CONFIG.format(oa=own.url, an=healthy.url))
    assert desk.run("run", "tasks.jsonl", "--json").json["diverted"]["tasks"] == 0
    own.control(latency=3.0)
    desk.batch("more.jsonl", 200, model="auto")
    done = desk.run("run", "more.jsonl", "--json")
    assert done.code == 0, done.err
    assert done.json["tasks"]["succeeded"] == 200
    assert done.json["diverted"]["tasks"] >= 150
    assert done.err.count("model gpt is far slower than usual (answers take over 1 s, usually 0.1 s)") == 1
    assert "gpt was far slower than usual" in desk.run("explain", "t199").out


def test_without_a_fallback_the_run_stops_as_ever(desk: Desk, simulate: Simulate, healthy: SimulatorProcess) -> None:
    config = CONFIG.format(oa=_away(desk, simulate, "key"), an=healthy.url)
    desk.write("laneway.toml", config.replace('fallbacks = ["claude"]', ""))
    done = desk.run("run", "tasks.jsonl", "--json")
    assert done.code == 3
    assert done.json["stopped_reason"] == "account"
    assert done.json["diverted"]["tasks"] == 0
    assert healthy.stats()["requests"] == 0
