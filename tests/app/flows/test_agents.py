"""Agents on the real engine, against the simulator: each request a task, counted by whoever is asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelRetry, NativeOutput, RunContext
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RunUsage, UsageLimits

from laneway import Laneway, TaskFailed, UsageError, flow
from laneway.config.models import Config
from laneway.simulator.process import SimulatorProcess
from laneway.task import Wire
from tests.conftest import Desk
from tests.simulator.client import Client, simulated


class Verdict(BaseModel):
    risk: float
    why: str


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with simulated(latency=0.01, output_tokens=8) as made:
        yield made


@pytest.fixture
async def lw(client: Client, tmp_path: Any) -> AsyncIterator[Laneway]:
    config = Config.model_validate(
        {
            "accounts": {"main": {"provider": "openai", "base_url": client.url, "concurrency": 4}},
            "models": {"strong": {"account": "main", "id": "gpt-4o", "input_price": 2, "output_price": 8}},
            "defaults": {"model": "strong"},
            "flows": {"in_memory": 0},  # so that each step begins with a replay
            "folder": tmp_path,
        }
    )
    made = Laneway(config, store=f"sqlite:///{tmp_path}/s.db", env={"OPENAI_API_KEY": "k"})
    yield made
    await made.close()


async def result(lw: Laneway, task: Any, *args: Any, **kwargs: Any) -> Any:
    async with lw.worker():
        return await (await lw.submit(task, *args, **kwargs)).result(30)


async def tree(lw: Laneway, flow_id: int = 1) -> list[tuple[str, str]]:
    """(type, state) of all that belongs to a flow."""
    tasks = [await lw.store.find_task(str(node.task_id)) for node in await lw.store.tree(flow_id)]
    return [(task.type, task.state.value) for task in tasks]


async def test_requests_and_tools_are_tasks_and_the_answer_has_its_type(lw: Laneway, client: Client) -> None:
    where: list[str] = []

    @lw.task
    async def look_up(query: str, pages: int = 3) -> dict[str, int]:
        """Search the archive.

        Args:
            query: what to look for
        """
        where.append(query)
        return {query: pages}

    judge = lw.agent(Agent(output_type=Verdict, tools=[lw.tool(look_up)]), "judge", model="strong")
    said = await result(lw, judge, "Is it risky?")
    assert isinstance(said, Verdict)
    assert len(where) == 1
    assert await tree(lw) == [(name, "succeeded") for name in ("judge", "judge.call", "look_up", "judge.call")]
    first, tool, second = [await lw.store.find_task(str(id_)) for id_ in (2, 3, 4)]
    assert (first.wire, first.model, tool.wire) == (Wire.CHAT, "strong", Wire.PYTHON)
    assert b'"description":"Search the archive."' in first.body
    assert b'"description":"what to look for"' in first.body
    assert b"pages" in second.body
    ledger = [line for task in (first, second) for line in await lw.store.attempts(task.id)]
    stats = await client.stats()
    assert len(ledger) == stats["requests"] == 2
    assert sum(line.usage.output_tokens for line in ledger if line.usage) == stats["output_tokens"]
    assert all(line.cost for line in ledger)


async def test_agents_in_a_flow_side_by_side_and_by_the_flow_itself(lw: Laneway, client: Client) -> None:
    agent = Agent(output_type=NativeOutput(Verdict))
    judge = lw.agent(agent, "judge", model="strong")

    @lw.flow
    async def assess(doc: str) -> dict[str, Any]:
        usage = RunUsage()
        here = lw.run_agent(agent, f"{doc}, here", model="strong", usage=usage)
        first, second, third = await flow.gather(judge(f"{doc}, one"), judge(f"{doc}, two"), here)
        return {"risks": [first.risk, second.risk, third.output.risk], "requests": usage.requests}

    said = await result(lw, assess, "A letter")
    assert len(said["risks"]) == 3
    assert said["requests"] == 1
    assert (await client.stats())["requests"] == 3
    assert sorted(name for name, _ in await tree(lw)) == [
        "assess", "assess.call", "judge", "judge", "judge.call", "judge.call"
    ]  # fmt: skip


async def test_a_limit_ends_the_agent_and_is_told(lw: Laneway, client: Client) -> None:
    @lw.task
    async def look_up(query: str) -> str:
        return query

    agent = Agent(tools=[lw.tool(look_up)])
    judge = lw.agent(agent, "judge", usage_limits=UsageLimits(request_limit=1))
    with pytest.raises(TaskFailed, match="request_limit of 1") as failed:
        await result(lw, judge, "Why?")
    assert failed.value.failure is not None
    assert failed.value.failure.code == "UsageLimitExceeded"
    assert (await client.stats())["requests"] == 1


async def test_a_limit_on_money_goes_by_the_configs_prices(lw: Laneway, client: Client) -> None:
    @lw.flow
    async def several(limit: float) -> Decimal | None:
        usage, limits = RunUsage(), UsageLimits(cost_limit=Decimal(repr(limit)))
        for at in range(3):
            await lw.run_agent(Agent(), f"Question {at}?", model="strong", usage=usage, usage_limits=limits)
        return usage.cost

    spent = await result(lw, several, 1.0)
    stats = await client.stats()
    assert float(spent) == pytest.approx((stats["input_tokens"] * 2 + stats["output_tokens"] * 8) / 1e6)
    with pytest.raises(TaskFailed, match="cost_limit"):
        await result(lw, several, float(spent) / 2)
    assert (await client.stats())["requests"] == 3 + 2


async def test_what_a_task_says_to_the_model_is_shown_to_it(lw: Laneway) -> None:
    @lw.task
    async def look_up(query: str) -> str:
        raise ModelRetry("search for a number instead")

    @lw.task
    async def broken() -> str:
        raise ValueError("no archive")

    agent = Agent(tools=[lw.tool(look_up)], retries=2)
    assert await result(lw, lw.agent(agent, "judge"), "Why?")
    assert b"search for a number instead" in (await lw.store.find_task("4")).body
    with pytest.raises(TaskFailed, match="no archive"):
        await result(lw, lw.agent(Agent(tools=[lw.tool(broken)]), "other"), "Why?")


async def test_a_failed_request_fails_the_agent_in_the_providers_words(lw: Laneway, client: Client) -> None:
    await client.control(models={"strict": True, "another": {}})
    with pytest.raises(TaskFailed, match="does not exist"):
        await result(lw, lw.agent(Agent(), "judge"), "Why?")


async def test_prompts_with_pictures_and_deps_travel(lw: Laneway) -> None:
    class Deps(BaseModel):
        customer: str

    agent = Agent(deps_type=Deps)

    @agent.instructions
    def who(ctx: RunContext[Deps]) -> str:
        return f"You serve {ctx.deps.customer}."

    judge = lw.agent(agent, "judge", model="strong")
    prompt = ["What is it?", BinaryContent(b"\x89PNG", media_type="image/png")]
    assert await result(lw, judge, prompt, Deps(customer="Ms Weber"))
    body = (await lw.store.find_task("2")).body
    assert b"You serve Ms Weber." in body
    assert b"data:image/png;base64,iVBORw==" in body


async def test_an_agent_as_another_ones_tool(lw: Laneway, client: Client) -> None:
    writer = lw.agent(Agent(description="Write a text about it."), "write", model="strong")
    inner: Agent[None, str] = Agent(lw.model("strong"))
    outer = Agent(lw.model("strong"), tools=[lw.tool(writer)])

    @outer.tool
    async def ask_inline(ctx: RunContext[None], question: str) -> str:
        return (await inner.run(question, usage=ctx.usage)).output

    assert await result(lw, lw.agent(outer, "edit"), "Make a leaflet")
    assert [name for name, _ in await tree(lw)].count("edit.call") == 4, "the outer one's three and the inline one's"
    assert (await client.stats())["requests"] == 5
    first = (await lw.store.find_task("2")).body
    assert b"Write a text about it." in first


async def test_tools_work_on_accounts_that_speak_another_format(client: Client, tmp_path: Any) -> None:
    config = Config.model_validate(
        {
            "accounts": {"main": {"provider": "anthropic", "base_url": client.url.removesuffix("/v1")}},
            "models": {"strong": {"account": "main", "id": "claude-opus-4-1"}},
            "folder": tmp_path,
        }
    )
    lw = Laneway(config, store=f"sqlite:///{tmp_path}/s.db", env={"ANTHROPIC_API_KEY": "k"})

    @lw.task
    async def look_up(query: str) -> str:
        return f"found {query}"

    agent = Agent(output_type=Verdict, tools=[lw.tool(look_up)], instructions="Be brief.")
    assert isinstance(await result(lw, lw.agent(agent, "judge"), "Why?"), Verdict)
    assert [name for name, _ in await tree(lw)] == ["judge", "judge.call", "look_up", "judge.call"]
    await lw.close()


async def test_a_tool_may_wait_for_a_person(lw: Laneway, client: Client) -> None:
    agent = Agent(output_type=int)

    @agent.tool_plain
    async def ask_the_manager(question: str) -> str:
        return str(await flow.wait_event("decision"))

    judge = lw.agent(agent, "judge", model="strong")
    async with lw.worker():
        job = await lw.submit(judge, "Why?")
        await lw.send_event(job, "decision", "yes, but")
        await job.result(30)
    assert b"yes, but" in (await lw.store.find_task("3")).body
    assert (await client.stats())["requests"] == 2


async def test_a_tool_that_reaches_outside_by_itself_is_stopped(lw: Laneway, client: Client) -> None:
    agent: Agent[None, str] = Agent()

    @agent.tool_plain
    async def look() -> str:
        reader, _ = await asyncio.open_connection("127.0.0.1", 9)
        return (await reader.read()).decode()

    with pytest.raises(TaskFailed, match="cannot use the network"):
        await result(lw, lw.agent(agent, "judge"), "Why?")


async def test_what_would_go_past_laneway_is_refused(lw: Laneway) -> None:
    with pytest.raises(UsageError, match="no name"):
        lw.agent(Agent())
    with pytest.raises(UsageError, match="past Laneway"):
        lw.agent(Agent(), "judge", model=TestModel())
    with pytest.raises(UsageError, match=r"lw\.tool was given"):
        lw.tool(len)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="outside a flow"):
        await lw.run_agent(Agent(), "Why?")
    assert lw.agent(Agent(TestModel()), "judge").name == "judge", "a model of its own is replaced"


APP = """
import os
from pathlib import Path
from pydantic_ai import Agent
from laneway import Laneway

lw = Laneway()

@lw.task
def archive(query: str) -> str:
    '''Search the archive.'''
    Path("begun").write_text("x")  # to a pipe: goes on when somebody has read it
    return Path("go_on").read_text()

judge = lw.agent(Agent(tools=[lw.tool(archive)], output_type=int), "judge", model="gpt-4o")
"""
SUBMIT = "from tasks import lw, judge; print(lw.sync.submit(judge, 'Why?').id)"
RESULT = "from tasks import lw; import sys; print(lw.sync.job(sys.argv[1]).result(60))"


def test_a_killed_agent_does_not_repeat_what_was_answered(
    desk: Desk, simulate: Callable[..., SimulatorProcess]
) -> None:
    simulator = simulate()
    desk.write("tasks.py", APP)
    desk.write("laneway.toml", 'app = "tasks:lw"\n')
    desk.env["PYTHONPATH"] += os.pathsep + str(desk.folder)
    for pipe in ("begun", "go_on"):
        os.mkfifo(desk.folder / pipe)
    job = desk.python("-c", SUBMIT).out.strip()
    worker = desk.start("worker")
    (desk.folder / "begun").read_text()
    worker.kill()
    worker.communicate()
    assert simulator.stats()["requests"] == 1
    worker = desk.start("worker")
    (desk.folder / "begun").read_text()
    (desk.folder / "go_on").write_text("nothing found")
    done = desk.python("-c", RESULT, job)
    assert done.code == 0, done.err
    assert int(done.out) >= 0
    assert simulator.stats()["requests"] == 2
    assert "state: succeeded" in desk.run("explain", job).out
    worker.terminate()
    worker.communicate()
