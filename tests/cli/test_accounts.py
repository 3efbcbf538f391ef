"""One model over two keys at one endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

CONFIG = """
[accounts.first]
provider = "openai"
api_key_env = "FIRST_KEY"
concurrency = 20
weight = 3
[accounts.second]
provider = "openai"
api_key_env = "SECOND_KEY"
concurrency = 20
[models.small]
accounts = ["first", "second"]
id = "gpt-4o-mini"
input_price = 0.15
output_price = 0.60
[defaults]
model = "small"
"""


@pytest.fixture
def two_keys(desk: Desk) -> Desk:
    desk.write("laneway.toml", CONFIG)
    desk.env |= {"FIRST_KEY": "sk-first-1111", "SECOND_KEY": "sk-second-2222"}
    desk.batch("tasks.jsonl", 200, model="small")
    return desk


def test_the_work_is_shared_by_weight(two_keys: Desk, simulate: Simulate) -> None:
    simulator = simulate(key=["sk-first-1111", "sk-second-2222"])
    done = two_keys.run("run", "tasks.jsonl", "--concurrency", "16", "--json")
    assert done.code == 0, done.err
    by_key = simulator.stats()["by_key"]
    assert by_key["sk-first-1111"]["completed"] == pytest.approx(150, abs=10)
    assert by_key["sk-second-2222"]["completed"] == pytest.approx(50, abs=10)


def test_a_run_goes_on_when_one_of_the_keys_is_refused(two_keys: Desk, simulate: Simulate) -> None:
    simulator = simulate(key=["sk-second-2222"])
    done = two_keys.run("run", "tasks.jsonl", "--json")
    assert done.code == 0, done.err
    assert done.json["tasks"]["succeeded"] == 200
    assert simulator.stats()["by_key"]["sk-second-2222"]["completed"] == 200
    assert "account first is paused: Incorrect API key provided.; its work goes to second" in done.err
    assert simulator.stats()["unauthorized"] <= 20, "the refused key is not tried again"


def test_accounts_of_two_formats_share_what_both_can_carry(two_keys: Desk, simulate: Simulate) -> None:
    simulator = simulate(key=["sk-first-1111", "sk-second-2222"])
    two_keys.env |= {
        "LANEWAY_ACCOUNTS__SECOND__PROVIDER": "anthropic",
        "LANEWAY_ACCOUNTS__SECOND__BASE_URL": simulator.url,
        "LANEWAY_ACCOUNTS__FIRST__WEIGHT": "1",
    }
    done = two_keys.run("run", "tasks.jsonl", "--concurrency", "16", "--json")
    assert done.code == 0, done.err
    by_key = simulator.stats()["by_key"]
    assert by_key["sk-first-1111"]["completed"] == pytest.approx(100, abs=10)
    assert done.json["tokens"]["input"] == simulator.stats()["input_tokens"]
    assert all(row["response"]["body"]["choices"] for row in two_keys.rows("tasks.results.jsonl"))

    two_keys.batch("biased.jsonl", 1, model="small", logit_bias={"1": 1})
    done = two_keys.run("run", "biased.jsonl", "--json")
    assert done.code == 2
    said = json.loads(done.out)["error"]["message"]
    assert "the field 'logit_bias' cannot be carried over into Anthropic Messages (account second)" in said
