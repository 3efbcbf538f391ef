"""The async client against the real command."""

from __future__ import annotations

import asyncio

import pytest

from laneway import AsyncClient, NotFoundError, ServerUnreachable, TaskCancelled, WaitTimeout
from tests.client.conftest import configure, port_of
from tests.conftest import Desk
from tests.server.served import Serve, Served, Simulate


async def test_every_verb(served: Served) -> None:
    async with AsyncClient(served.url) as client:
        job = await client.submit("review", doc="bread", key="k1")
        assert (await job.result(30)).startswith("Simulated")
        assert (await job.status()).ended
        assert [event.task.state async for event in job.events()] == ["succeeded"]
        assert (await client.explain("k1"))["id"] == job.id
        await client.feedback(job, "good")
        assert await client.pause(lane="slow")
        later = await client.submit(prompt="later", lane="slow", delay=3600)
        assert await client.set(later, urgency="relaxed")
        with pytest.raises(WaitTimeout):
            await later.result(0.1)
        assert [task.id async for task in client.tasks(lane="slow")] == [later.id]
        assert (await client.select("cancel", lane="slow")).changed == 1
        with pytest.raises(TaskCancelled):
            await later.result(30)
        assert await client.retry(later)
        assert await later.cancel()
        assert await client.resume(lane="slow")
        await client.limit(lane="slow", concurrency=3)
        assert [one["name"] async for one in client.figures("lanes")]
        assert await client.overview()
        assert (await client.tree(job))["task"] == job.id
        (run,) = [run async for run in client.runs()]
        assert (await client.run(run.id)).tasks["succeeded"] == 1
        assert [one.task async for one in client.results(run.id)] == [job.id, later.id]
        with pytest.raises(NotFoundError):
            await client.get("nobody")
        heard = asyncio.Event()
        async for event in client.events():
            if event.name == "figures" and not heard.is_set():
                heard.set()
                await client.submit(prompt="x", key="x")
            elif event.name == "ended":
                assert event.task.key == "x"
                break
        served.kill()
    async with AsyncClient(served.url, retry_for=0.3) as client:
        with pytest.raises(ServerUnreachable):
            await client.get("k1")


async def test_a_kill_in_the_midst_of_a_map_costs_no_result_and_doubles_none(
    desk: Desk, serve: Serve, simulate: Simulate
) -> None:
    simulate(latency=0.05)
    configure(desk)
    served, killed = serve(), False
    seen = []
    async with AsyncClient(served.url) as client:
        async for one in client.map(None, [f"p{n}" for n in range(200)]):
            seen.append(one.index)
            if len(seen) >= 50 and not killed:
                killed = True
                served.kill()
                served = serve("--port", port_of(served))
    assert sorted(seen) == list(range(200))
    assert desk.run("status", "--json").json["runs"][0]["tasks"]["succeeded"] == 200
