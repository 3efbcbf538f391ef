"""Flows with a real store and a real worker and, where models are asked, the real simulator."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from laneway import ConflictError, Laneway, TaskCancelled, TaskFailed, UsageError, flow
from laneway.app.jobs import Job
from laneway.config.models import Config
from laneway.simulator.process import SimulatorProcess
from laneway.store.flows import Node
from laneway.task import State, WaitReason


class Verdict(BaseModel):
    risk: str
    score: float


def app(folder: Path, **settings: Any) -> Laneway:
    return Laneway(Config(folder=folder, **settings), store=f"sqlite:///{folder}/s.db", env={})


@pytest.fixture
async def lw(tmp_path: Path) -> AsyncIterator[Laneway]:
    made = app(tmp_path)
    yield made
    await made.close()


async def tree(lw: Laneway, job: Job[Any]) -> list[Node]:
    return await lw.store.tree(job.id)


async def until(lw: Laneway, job: Job[Any], reason: WaitReason, n: int = 1) -> None:
    """So many of its tree wait for this."""
    async with asyncio.timeout(20):
        for _ in iter(int, 1):
            if [node.wait_reason for node in await tree(lw, job)].count(reason) >= n:
                return
            await asyncio.sleep(0.01)


def adding(lw: Laneway) -> Any:
    @lw.task
    async def add(a: int, b: int = 1) -> int:
        return a + b

    return add


class TestChildren:
    async def test_tasks_called_in_a_flow_run_as_its_children_in_any_shape(self, lw: Laneway) -> None:
        add = adding(lw)

        @lw.task
        def shout(text: str) -> str:
            return text.upper()

        @lw.flow
        async def work(n: int, *, word: str) -> list[Any]:
            sums = await asyncio.gather(*(add(i) for i in range(n)))
            async with asyncio.TaskGroup() as group:
                loud = group.create_task(_twice(word))
                one = group.create_task(add(n))  # a child, and no coroutine
            mapped = await flow.map(add, range(5), concurrency=2)
            return [sums, loud.result(), one.result(), mapped, await flow.reduce(total, range(10), width=3)]

        async def _twice(word: str) -> str:
            return f"{await shout(word)} {await shout(word)}"  # type: ignore[misc]  # a sync task is awaited in a flow

        @lw.task
        async def total(numbers: list[int]) -> int:
            return sum(numbers)

        async with lw.worker():
            job = await lw.submit(work, 3, word="hi")
            assert await job.result(20) == [[1, 2, 3], "HI HI", 4, [1, 2, 3, 4, 5], 45]
        nodes = await tree(lw, job)
        assert {node.state for node in nodes} == {State.SUCCEEDED}
        assert len(nodes) == len({node.name for node in nodes}) == 1 + 3 + 2 + 1 + 5 + 5
        assert await lw.store.check() == []

    async def test_arguments_and_results_keep_their_types(self, lw: Laneway) -> None:
        @lw.task
        async def judge(text: str) -> Verdict:
            return Verdict(risk="high", score=0.5)

        @lw.flow
        async def work(verdict: Verdict) -> Verdict:
            assert isinstance(verdict, Verdict)
            found = await judge(verdict.risk)
            assert isinstance(found, Verdict)
            return found

        async with lw.worker():
            assert await (await lw.submit(work, Verdict(risk="low", score=0))).result(20) == Verdict(
                risk="high", score=0.5
            )

    async def test_a_childs_failure_is_raised_where_it_is_awaited(self, lw: Laneway) -> None:
        @lw.task
        async def bad() -> None:
            raise ValueError("no such claim")

        @lw.flow
        async def careful() -> str:
            try:
                await bad()
            except TaskFailed as fault:
                return f"{fault.failure.code}" if fault.failure else ""
            return "fine"

        @lw.flow
        async def careless() -> None:
            await bad()

        async with lw.worker():
            assert await (await lw.submit(careful)).result(20) == "ValueError"
            with pytest.raises(TaskFailed, match="no such claim"):
                await (await lw.submit(careless)).result(20)

    async def test_children_take_over_urgency_deadline_tags_and_team_where_nothing_else_is_said(
        self, lw: Laneway
    ) -> None:
        add = adding(lw)

        @lw.flow
        async def work() -> None:
            await add(1)
            await flow.task(add, lane="legal", urgency="immediate", tags=("x",))(2)

        async with lw.worker():
            job = await lw.submit(work, urgency="urgent", deadline=4e9, tags=("a",), team="blue")
            await job.result(20)
        ids = [node.task_id for node in (await tree(lw, job))[1:]]
        plain, routed = await lw.store.get_tasks(ids)
        assert (plain.urgency.label, plain.lane, plain.tags, plain.team) == ("urgent", "general", ("a",), "blue")
        assert (routed.urgency.label, routed.lane, routed.tags) == ("immediate", "legal", ("a", "x"))
        assert plain.deadline == routed.deadline == 4e9

    async def test_a_call_of_a_model_in_a_flow_is_a_task_of_its_own(self, tmp_path: Path) -> None:
        with SimulatorProcess(latency=0.01) as simulator:
            lw = app(
                tmp_path,
                accounts={"main": {"base_url": simulator.url, "concurrency": 3}},
                models={"small": {"account": "main", "id": "gpt-4o-mini", "input_price": 1, "output_price": 2}},
            )

            @lw.flow
            async def work(text: str) -> str:
                verdict = await lw.call("small", f"judge {text}", output=Verdict)
                words = await lw.call("small", [{"role": "user", "content": "why?"}], max_tokens=5)
                return f"{verdict.risk}: {words}"

            @lw.flow
            async def many() -> int:
                return len(await flow.gather(*(lw.call("small", f"part {i}") for i in range(4))))

            async with lw.worker():
                job = await lw.submit(work, "this")
                assert "simulated" in (await job.result(20)).lower()
                gathered = await lw.submit(many)
                assert await gathered.result(20) == 4
            nodes = await tree(lw, job)
            assert [node.model for node in nodes[1:]] == ["small", "small"]
            assert all(node.cost for node in nodes[1:])
            assert len((await lw.store.history(gathered.id)).steps) == 1  # woken once, when all were there
            await lw.close()

    async def test_a_check_in_a_flow_is_refused_with_the_way_to_have_one(self, lw: Laneway) -> None:
        @lw.flow
        async def work() -> None:
            await lw.call("small", "hi", check=lambda value: None)

        async with lw.worker():
            with pytest.raises(TaskFailed, match=r"lw.call\(…, check=…\) was used in a flow"):
                await (await lw.submit(work)).result(20)


class TestScheduling:
    async def test_nested_flows_end_however_few_run_at_once(self, tmp_path: Path) -> None:
        lw = app(tmp_path, lanes={"general": {"concurrency": 1}}, flows={"open": 1})

        @lw.flow
        async def deep(n: int) -> int:
            return 0 if n == 0 else 1 + await deep(n - 1)

        async with lw.worker():
            jobs = [await lw.submit(deep, 50), await lw.submit(deep, 3)]
            assert [await job.result(50) for job in jobs] == [50, 3]
        await lw.close()

    async def test_no_more_flows_begin_than_may_be_open(self, tmp_path: Path) -> None:
        lw = app(tmp_path, flows={"open": 2})
        open_now = most = 0

        @lw.task
        async def step(n: int) -> int:
            nonlocal most
            most = max(most, open_now)
            return n

        @lw.flow
        async def work(n: int) -> int:
            nonlocal open_now
            open_now += 1
            found = await step(n)
            open_now -= 1
            return found

        async with lw.worker():
            jobs = await lw.submit_many(work, range(20))
            assert [await job.result(30) for job in jobs] == list(range(20))
        assert most <= 2
        await lw.close()

    async def test_a_flow_that_is_kept_in_no_memory_goes_on_by_replay(self, tmp_path: Path) -> None:
        lw = app(tmp_path, flows={"in_memory": 0})
        add, begun = adding(lw), 0

        @lw.flow
        async def work(n: int) -> int:
            nonlocal begun
            begun += 1
            for _ in range(4):
                n = await add(n)
            return n

        async with lw.worker():
            job = await lw.submit(work, 1)
            assert await job.result(20) == 5
        assert begun == 5, "once and for each answer"
        assert len(await tree(lw, job)) == 5
        await lw.close()

    async def test_what_has_begun_goes_before_what_has_not(self, tmp_path: Path) -> None:
        lw = app(tmp_path, lanes={"general": {"concurrency": 1}})
        order: list[int] = []

        @lw.task
        async def step(n: int, at: int) -> None:
            order.append(n)

        @lw.flow
        async def work(n: int) -> None:
            for at in range(3):
                await step(n, at)

        await lw.submit_many(work, range(30))
        async with lw.worker():
            jobs = [await lw.job(id_) for id_ in range(1, 31)]
            for job in jobs:
                await job.result(30)
        ended = [max(at for at, n in enumerate(order) if n == flow_) for flow_ in range(30)]
        assert sum(ended) / 30 < 75, "breadth first, all would end at the end"
        await lw.close()


class TestWaiting:
    async def test_a_flow_waits_for_a_persons_word_and_holds_nothing(self, lw: Laneway) -> None:
        @lw.flow
        async def approved(what: str) -> str:
            word = await flow.wait_event("approval")
            return f"{what}: {word['by']}"

        async with lw.worker() as working:
            job = await lw.submit(approved, "loan", key="loan-1")
            await until(lw, job, WaitReason.EVENT)
            assert working.in_flight == 0
            await lw.send_event("loan-1", "approval", {"by": "eva"})
            assert await job.result(20) == "loan: eva"
            with pytest.raises(ConflictError, match="has ended"):
                await lw.send_event(job, "approval")

    async def test_sleeps_and_timeouts_are_the_flows_own(self, lw: Laneway) -> None:
        @lw.flow
        async def patient() -> list[str]:
            seen = []
            begun = flow.now()
            await asyncio.sleep(0.2)
            seen.append("slept" if flow.now() - begun >= 0.2 else "early")
            try:
                async with asyncio.timeout(0.1):
                    await flow.wait_event("never")
            except TimeoutError:
                seen.append("timed out")
            return seen

        async with lw.worker():
            assert await (await lw.submit(patient)).result(20) == ["slept", "timed out"]

    async def test_a_time_limit_ends_the_flow_and_calls_its_children_off(self, lw: Laneway) -> None:
        @lw.task
        async def endless() -> None:
            await asyncio.Event().wait()

        @lw.flow(time_limit=0.3)
        async def short() -> None:
            await asyncio.gather(endless(), flow.wait_event("never"))

        async with lw.worker(grace=0):
            job = await lw.submit(short)
            with pytest.raises(TaskFailed, match=r"time.?limit|within"):
                await job.result(20)

    async def test_cancelling_a_flow_cancels_its_tree(self, lw: Laneway) -> None:
        @lw.flow
        async def inner() -> None:
            await flow.wait_event("never")

        @lw.flow
        async def outer() -> None:
            await asyncio.gather(inner(), inner())

        async with lw.worker():
            job = await lw.submit(outer)
            await until(lw, job, WaitReason.EVENT, 2)
            assert await lw.store.cancel([job.id], lw.clock.now()) == 1
            with pytest.raises(TaskCancelled):
                await job.result(20)
        assert {node.state for node in await tree(lw, job)} == {State.CANCELLED}


class TestFaults:
    async def test_a_function_that_has_changed_is_told_and_keeps_what_is_paid(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = app(tmp_path)
        add = adding(first)

        @first.flow(name="work")
        async def before() -> int:
            found = await add(1)
            await flow.wait_event("go")
            return int(found + await add(10))

        async with first.worker():
            job = await first.submit(before, key="k")
            await until(first, job, WaitReason.EVENT)
        await first.close()

        second = app(tmp_path)
        add = adding(second)

        @second.flow(name="work")
        async def after() -> int:
            found = await add(2)
            await flow.wait_event("go")
            return int(found)

        with caplog.at_level(logging.WARNING, "laneway"):
            async with second.worker():
                await second.send_event("k", "go")
                assert await (await second.job("k")).result(20) == 3
        assert "has its function changed?" in caplog.text
        old, new = (await tree(second, await second.job("k")))[1:]
        assert (old.orphaned, new.orphaned) == (True, False)
        await second.close()

    async def test_a_flow_that_failed_is_retried_without_paying_for_what_went_well(self, lw: Laneway) -> None:
        runs: list[str] = []

        @lw.task
        async def good() -> int:
            runs.append("good")
            return 1

        @lw.task
        async def shaky() -> int:
            runs.append("shaky")
            if runs.count("shaky") == 1:
                raise ValueError("not yet")
            return 2

        @lw.flow
        async def work() -> int:
            return sum(await asyncio.gather(good(), shaky()))

        async with lw.worker():
            job = await lw.submit(work)
            with pytest.raises(TaskFailed, match="not yet"):
                await job.result(20)
            await lw.store.retry([job.id], lw.clock.now())
            lw.poke()
            assert await job.result(20) == 3
        assert sorted(runs) == ["good", "shaky", "shaky"]

    async def test_a_flow_cannot_reach_outside_itself(self, lw: Laneway) -> None:
        @lw.flow
        async def reaching() -> None:
            await asyncio.to_thread(print)

        async with lw.worker():
            with pytest.raises(TaskFailed, match="cannot use the network, files or threads"):
                await (await lw.submit(reaching)).result(20)

    def test_a_flow_has_to_be_async(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="not async"):

            @app(tmp_path).flow
            def work() -> None: ...
