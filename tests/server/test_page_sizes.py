"""Pages stay small whatever people call things, and however many there are."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from laneway.store.flows import Child, Suspension, WaitGroup
from laneway.store.tokens import Deed
from laneway.task import NEW_FLOW, NewTask, Outcome, Route, Settlement, Spec, State, Urgency, Wire
from tests.server.door import Door
from tests.store.helpers import claim, finish, new, run_with

LARGEST = 256 * 1024  # bytes
LONG = "name & more " * 25  # 300 characters
MANY = 1_000  # children of one flow


class Crowd(NamedTuple):
    run: int
    flow: int


@pytest.fixture
async def crowd(door: Door) -> Crowd:
    """Forty runs, one with very many kinds of everything; a flow that began very much; a long audit log."""
    store, now = door.lw.store, door.clock.now()
    await store.join("w", 1e9, now)
    for n in range(40):
        await store.open_run(f"{LONG}/{n} {LONG}", info={"team": LONG}, max_cost=1.0, now=now)
    routes = [Route(f"{LONG} {n}", Urgency.STANDARD, f"{LONG} {n}", category=f"{n} {LONG}") for n in range(60)]
    tasks = [
        new(f"{LONG} {n}", str(n), now, route=route, spec=Spec(f"{LONG} {n}", Wire.CHAT))
        for n, route in enumerate(routes)
    ]
    run = await run_with(store, tasks)
    await finish(store, await claim(store, now=now), State.FAILED)
    spec, route = Spec(LONG, Wire.PYTHON), Route("general", Urgency.STANDARD, NEW_FLOW)
    flows = await store.open_run("flows", info={}, max_cost=None, now=now)
    await store.submit(flows, [NewTask(b"{}", spec, route, now, key=LONG)], now)
    (task,) = await claim(store, now=now)
    names = tuple(f"{n} {LONG}" for n in range(MANY))
    child = NewTask(b"{}", Spec(LONG, Wire.CHAT), Route("general", Urgency.STANDARD, LONG), now, parent=task.id)
    left = Suspension(0, now, begun=[Child(name, child) for name in names], waits_for=[WaitGroup(names, MANY)])
    done = Settlement(task.id, task.fence, State.WAITING, Outcome.OK, now, 0.01, cost=0.0, flow=left)
    done.burned = done.counted = False
    assert await store.settle("w", [done], now) == [True]
    for _ in range(100):
        await store.record(Deed(now, LONG[:100], LONG, "tasks.retry", LONG, {f"{LONG} {i}": LONG for i in range(9)}))
    return Crowd(run.id, task.id)


async def test_pages_are_no_larger_than_they_may_be(door: Door, crowd: Crowd) -> None:
    asked = door.client()
    for path in ("/runs", f"/runs/{crowd.run}", "/flows", f"/flows/{crowd.flow}", "/triage", "/audit"):
        answer = await asked.get(path)
        assert answer.status_code == 200, answer.text[:500]
        assert len(answer.content) <= LARGEST, f"{path} has {len(answer.content):,} bytes"


async def test_a_flow_with_very_many_children_says_that_there_are_more(door: Door, crowd: Crowd) -> None:
    page = (await door.client().get(f"/flows/{crowd.flow}")).text
    assert "Only the first tasks are shown" in page
    tree = (await door.client().get(f"/api/v1/tasks/{crowd.flow}/tree")).json()
    assert tree["partial"]


async def test_the_next_page_of_the_audit_log_goes_on_where_the_first_ended(door: Door) -> None:
    for n in range(70):
        await door.lw.store.record(Deed(door.clock.now(), "ann", None, "lane.pause", f"lane-{n}"))
    asked = door.client()
    first = (await asked.get("/audit")).text
    assert "lane-69" in first
    assert "lane-9<" not in first
    link = first.partition('href="/audit?cursor=')[2].partition('"')[0]
    second = (await asked.get(f"/audit?cursor={link}")).text
    assert "lane-9<" in second
    assert "lane-69" not in second
