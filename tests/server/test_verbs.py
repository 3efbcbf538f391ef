"""Verbs for many tasks, of pages and programs: what of them is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from laneway.app import steering
from laneway.errors import StoreError
from laneway.store.tokens import Deed
from tests.server.door import Door

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SELECT = {"filter": {"lane": ["general"]}, "verb": "cancel"}


async def submit(door: Door, n: int) -> int:
    """Returns their run."""
    tasks = [{"prompt": f"p{i}"} for i in range(n)]
    ids = (await door.client().post("/api/v1/tasks/bulk", json={"tasks": tasks})).json()["ids"]
    return (await door.lw.store.get_tasks(ids[:1]))[0].run_id


async def the_deed(door: Door) -> Deed:
    (deed,) = await door.lw.store.deeds(None, 9)
    return deed


async def test_programs_and_pages_write_down_the_same(door: Door) -> None:
    run, client = await submit(door, 3), door.client()
    assert (await client.post("/api/v1/tasks/select", json=SELECT)).json()["changed"] == 3
    deed = await the_deed(door)
    assert (deed.who, deed.action, deed.what) == ("local", "tasks.cancel", "3 tasks")
    assert deed.detail == {**SELECT, "matched": 3}
    await submit(door, 2)
    assert (await client.post(f"/ui/runs/{run}/cancel", content="", headers=FORM)).status_code == 303
    async with asyncio.timeout(10):
        while len(deeds := await door.lw.store.deeds(None, 9)) == 1:
            pass
    assert (deeds[0].who, deeds[0].action, deeds[0].what) == ("local", "tasks.cancel", "2 tasks")
    assert deeds[0].detail == {"filter": f"run {run}", "matched": 2}


async def test_what_an_error_ends_is_written_down_as_far_as_it_came(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await submit(door, 5)
    monkeypatch.setattr(steering, "CHUNK", 2)
    store = door.lw.store
    cancel, times = store.cancel, 0

    async def breaks(ids: Sequence[int], now: float) -> int:
        nonlocal times
        times += 1
        if times == 3:
            raise StoreError("the disk is full")
        return await cancel(ids, now)

    monkeypatch.setattr(store, "cancel", breaks)
    assert (await door.client().post("/api/v1/tasks/select", json=SELECT)).status_code == 503
    deed = await the_deed(door)
    assert (deed.what, deed.detail["matched"], deed.detail["error"]) == ("4 tasks", 5, "the disk is full")
