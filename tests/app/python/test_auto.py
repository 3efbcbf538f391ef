"""``lw.call("auto", …)``: triage chooses, judges again what has grown, and goes upward only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway import Laneway
from laneway.app.python.auto import Auto
from laneway.config.models import Config
from laneway.providers.model import Model
from laneway.simulator.process import SimulatorProcess
from laneway.task import Claimed, Urgency
from tests.conftest import Desk

NOW = 1_700_000_000.0
PRICES = {"small": 1.0, "middle": 3.0, "strong": 9.0}
CONFIG: dict[str, Any] = {
    "accounts": {"main": {}},
    "models": {
        name: {"account": "main", "id": name, "context_window": window, "input_price": price, "output_price": price}
        for (name, price), window in zip(PRICES.items(), (1_000, 10_000, 100_000), strict=True)
    },
    "rules": [
        {"when": {"text": "/easy/"}, "model": "small", "fallbacks": ["middle", "strong"]},
        {"when": {"tokens": ">500"}, "model": "middle", "fallbacks": ["strong"]},
    ],
    "defaults": {"model": "small", "fallbacks": ["strong"]},
}


@dataclass
class Spec:
    type: str = "agent"


def claimed(id_: int = 1) -> Claimed:
    blank: dict[str, Any] = dict.fromkeys(Claimed.__slots__)
    return Claimed(**{**blank, "id": id_, "lane": "general", "urgency": Urgency.STANDARD, "spec": Spec()})


def auto() -> Auto:
    lw = Laneway(Config.model_validate(CONFIG))
    models = {
        name: Model(name, name, (), price, price, context_window=CONFIG["models"][name]["context_window"])
        for name, price in PRICES.items()
    }
    return Auto(lambda: lw.triage, models.get)


def says(*texts: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text} for text in texts]


def test_each_call_is_judged_by_its_size_and_what_grows_goes_up() -> None:
    chooses, task = auto(), claimed()
    models = []
    changes = []
    for tokens in (100, 400, 600, 9_950, 20_000):
        choice, changed = chooses.choose(task, says("who", "am I"), (tokens, 100), NOW + tokens)
        models.append(choice.model)
        changes.append(changed and (changed.origin, changed.model, changed.reason))
    assert models == ["small", "small", "middle", "strong", "strong"]
    assert changes == [
        None,
        None,
        ("small", "middle", "the context has grown from 400 to 600 tokens"),
        ("middle", "strong", "the context has grown from 600 to 9,950 tokens"),
        None,
    ]


def test_a_conversation_is_known_by_how_it_begins() -> None:
    chooses, task = auto(), claimed()
    assert chooses.choose(task, says("a", "b"), (600, 10), NOW)[0].model == "middle"
    assert chooses.choose(task, says("a", "b", "c"), (100, 10), NOW)[0].model == "middle", "it does not go down"
    assert chooses.choose(task, says("x", "b"), (100, 10), NOW)[0].model == "small", "another one"
    assert chooses.choose(claimed(2), says("a", "b"), (100, 10), NOW)[0].model == "small", "another task's"


def test_a_later_judgement_that_is_cheaper_does_not_count() -> None:
    chooses, task = auto(), claimed()
    assert chooses.choose(task, says("hm", "so"), (600, 10), NOW)[0].model == "middle"
    choice, changed = chooses.choose(task, says("hm", "so", "easy"), (700, 10), NOW)
    assert (choice.model, changed) == ("middle", None)


@given(st.lists(st.tuples(st.integers(1, 90_000), st.booleans()), max_size=12))
def test_within_a_conversation_it_never_goes_down(calls: list[tuple[int, bool]]) -> None:
    chooses, task, before = auto(), claimed(), 0.0
    for tokens, easy in calls:
        choice, _ = chooses.choose(task, says("a", "b", "easy" if easy else "hard"), (tokens, 100), NOW)
        assert PRICES[choice.model] >= before
        assert tokens + 100 <= CONFIG["models"][choice.model]["context_window"]
        before = PRICES[choice.model]


APP = """
import asyncio, sys
from laneway import Laneway
lw = Laneway()

@lw.task
async def talk(turns: int) -> int:
    messages = [{"role": "user", "content": "hello"}]
    for n in range(turns):
        said = await lw.call("auto", messages)
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "word " * 300}]
    return len(messages)

async def main():
    async with lw.worker():
        print((await lw.submit(talk, 4)).id, flush=True)
        print(await (await lw.job(1)).result(30))
    await lw.close()

if __name__ == "__main__":
    asyncio.run(main())
"""
TOML = """
app = "tasks:lw"
[accounts.main]
provider = "openai"
[models.small]
account = "main"
id = "s"
input_price = 1
output_price = 1
context_window = 1000
[models.strong]
account = "main"
id = "t"
input_price = 9
output_price = 9
context_window = 100000
[defaults]
model = "small"
fallbacks = ["strong"]
"""


@pytest.mark.parametrize("broken", [False, True])
def test_through_a_worker(desk: Desk, simulate: Callable[..., SimulatorProcess], broken: bool) -> None:
    """What outgrew the small model's window goes on with the strong one; so does what the small one fails at."""
    provider = simulate(models=str(models_file(desk, broken)))
    desk.write("tasks.py", APP)
    desk.write("laneway.toml", TOML)
    done = desk.python("tasks.py")
    assert done.out.split() == ["1", "9"], done.err
    assert provider.stats()["by_model"]["t"]
    told = json.loads(desk.run("explain", "1", "--json").out)["changes"]
    assert told
    assert {(one["field"], one["from"], one["to"]) for one in told} == {("model", "small", "strong")}
    said = "small: request/" if broken else "the context has grown from"
    assert any(said in one["reason"] for one in told), told
    assert "model rose to strong at " in desk.run("explain", "1").out


def models_file(desk: Desk, broken: bool) -> Any:
    """Where it is broken, the small model does not exist."""
    names = ["t"] if broken else ["s", "t"]
    text = "strict = true\n" + "".join(f"[{name}]\n" for name in names)
    return desk.write("models.toml", text)
