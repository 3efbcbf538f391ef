"""An agent on a flow's own loop: whatever order its tools finish in and wherever it is cut off, it does the same."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.usage import RunUsage, UsageLimits

from laneway.errors import UsageError
from laneway.flows.agents.model import LanewayModel
from laneway.flows.agents.running import run
from laneway.flows.current import current
from laneway.flows.live import Live
from laneway.store.flows import Heard, History, Step
from laneway.task import NewTask, Route, Spec, State, Urgency, Wire
from tests.flows.agents.script import calls, text

ANSWERS = [
    calls(
        ("a", "fetch", {"page": 1}), ("b", "fetch", {"page": 1}), ("c", "fetch", {"page": 2}), ("d", "add", {"n": 4})
    ),
    calls(("e", "fetch", {"page": 1}), ("f", "fail", {})),
    calls(("g", "wait", {"s": 30}), ("h", "fetch", {"page": 3})),
    text("done"),
]


def ask(_model: str, body: dict[str, Any]) -> Awaitable[Mapping[str, Any]]:
    return current("it").begin("ask", (body,), {})


def prepare(live: Live, task: Any, args: Any, kwargs: Mapping[str, Any], options: Any) -> Any:
    body = orjson.dumps([args, kwargs])
    return NewTask(body, Spec(str(task), Wire.PYTHON), Route("general", Urgency.STANDARD, ""), 0.0), orjson.loads


class Places:
    """Who ran an agent's own tools."""

    def __init__(self) -> None:
        self.threads: set[int] = set()


def made_agent(places: Places) -> Agent[None, str]:
    agent = Agent(instructions="Be brief.", retries=3)

    @agent.tool_plain
    async def fetch(page: int) -> Any:
        return await current("it").begin("fetch", (page,), {})

    @agent.tool_plain
    def add(n: int) -> int:
        places.threads.add(threading.get_ident())
        return n + 1

    @agent.tool_plain
    async def fail() -> str:
        raise ModelRetry("not that way")

    @agent.tool_plain
    async def wait(s: int) -> str:
        await asyncio.sleep(s)
        return "waited"

    return agent


class Store:
    """What is left of a flow when its worker dies, and a provider that counts."""

    def __init__(self) -> None:
        self.history = History()
        self.asked: list[dict[str, Any]] = []
        self.begun: list[str] = []

    def settle(self, live: Live) -> None:
        left = live.left()
        self.history.steps.append(Step(left.step, left.at, tuple(left.heard), left.events))
        for child in left.begun:
            self.begun.append(child.name)
            output: Any = f"page of {child.task.body.decode()}"
            if child.task.spec.type == "ask":
                output = ANSWERS[len(self.asked)]
                self.asked.append(orjson.loads(child.task.body)[0][0])
            self.history.children[child.name] = Heard(child.name, 1, State.RUNNING, orjson.dumps(output))

    def end(self, name: str) -> Heard:
        ended = self.history.children[name]._replace(state=State.SUCCEEDED)
        self.history.children[name] = ended
        return ended


async def main() -> str:
    result = await run(made_agent(Places()), "Why?", LanewayModel("strong", ask))
    return str(result.output)


def carried_out(draw: Any) -> tuple[Store, str]:
    """From the first step to the end; after each step one or more children end, in a drawn order, and perhaps the
    worker dies."""
    store, now = Store(), 1000.0
    live: Live | None = None
    while True:
        open_ = [name for name, child in store.history.children.items() if child.state is State.RUNNING]
        ending = draw(st.permutations(open_))[: draw(st.integers(1, max(1, len(open_))))]
        heard = [store.end(name) for name in ending]
        now += 20
        if live is None:
            live = Live(7, prepare, store.history)
            if not store.history.steps:
                live.start(main, now)
            else:
                live.replay(store.history, main)
                assert not live.orphans()
                assert not live.strangers()
                told = [child for child in store.history.children.values() if child.state.ended]
                live.go_on(now, told, live.loop.due(now), [])
        else:
            live.go_on(now, heard, live.loop.due(now), [])
        store.settle(live)
        if live.ended:
            return store, live.value()
        if draw(st.booleans()):
            live.close()
            live = None


@settings(max_examples=30)
@given(st.data())
def test_wherever_it_is_cut_off_it_goes_on_the_same(data: st.DataObject) -> None:
    store, output = carried_out(data.draw)
    gc.collect()  # a run that is let go of must not do anything on its way out
    assert output == "done"
    assert len(store.asked) == len(ANSWERS), "each request was made once"
    assert len(set(store.begun)) == len(store.begun) == len(ANSWERS) + 5
    assert all("." not in name for name in store.begun), "named by the flow's own tasks, not by pydantic-ai's"
    returned = {turn["tool_call_id"]: turn["content"] for turn in store.asked[-1]["messages"] if turn["role"] == "tool"}
    assert list(returned) == ["a", "b", "c", "d", "e", "f", "g", "h"]
    assert returned["d"] == "5"
    assert returned["g"] == "waited"
    assert all(content == "page of [[1],{}]" for id_, content in returned.items() if id_ in "abe")


def test_no_tool_leaves_the_flow_for_a_thread() -> None:
    places = Places()

    async def only_add() -> Any:
        return (await run(made_agent(places), "Why?", LanewayModel("strong", ask))).output

    live = Live(7, prepare, History())
    live.start(only_add, 1.0)
    [asked] = live.left().begun
    live.go_on(2.0, [Heard(asked.name, 1, State.SUCCEEDED, orjson.dumps(calls(("a", "add", {"n": 1}))))], [], [])
    assert places.threads == {threading.get_ident()}
    live.close()


async def several(requests: int) -> list[Any]:
    """So many agents, one after the other, under one limit."""
    usage, limits = RunUsage(), UsageLimits(request_limit=2)
    agent: Agent[None, str] = Agent()
    ended = []
    for at in range(requests):
        one = run(agent, f"Question {at}?", LanewayModel("m", ask), usage=usage, usage_limits=limits)
        ended.append((await one).output)
    return ended


@pytest.mark.parametrize("requests", [2, 3])
def test_one_limit_holds_for_several_agents_together(requests: int) -> None:
    live = Live(7, prepare, History())
    live.start(lambda: several(requests), 1.0)
    asked = 0
    while not live.ended:
        begun = live.left().begun
        asked += len(begun)
        heard = [Heard(one.name, 1, State.SUCCEEDED, orjson.dumps(text("x"))) for one in begun]
        live.go_on(live.loop.now + 1, heard, [], [])
    assert asked == 2
    if requests == 2:
        assert live.value() == ["x", "x"]
        return
    with pytest.raises(UsageLimitExceeded, match="request_limit of 2"):
        live.value()


def test_outside_a_flow_it_says_where_it_belongs() -> None:
    with pytest.raises(UsageError, match="outside a flow"):
        asyncio.run(run(Agent(), "Why?", LanewayModel("m", ask)))
