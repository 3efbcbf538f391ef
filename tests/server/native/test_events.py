"""Server-sent events: what has ended, to whom it may be told, from where on, and until when."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from laneway.server.caller import LOCAL, Caller, Role
from laneway.server.native import events, hub
from tests.server.native.asking import Asker
from tests.server.native.streams import listening

LEGAL = Caller("ann", "legal", Role.SUBMIT)


async def _ended(api: Asker, prompt: str, who: Caller = LOCAL) -> int:
    """A task that ended."""
    task = await api("POST", "/tasks", {"prompt": prompt}, who=who)
    await api("POST", f"/tasks/{task['id']}/cancel", who=who)
    return int(task["id"])


async def test_what_ends_is_told_to_who_may_see_it(api: Asker) -> None:
    async with listening(api, "/events") as all_, listening(api, "/events", who=LEGAL) as own:
        assert (all_.status, (await all_.next()).name) == (200, "figures")  # type: ignore[union-attr]
        assert await own.next("figures")
        others = await _ended(api, "a")
        mine = await _ended(api, "b", LEGAL)
        told = [await all_.next("ended"), await all_.next("ended")]
        assert [one.data["id"] for one in told if one] == [others, mine]
        first = await own.next("ended")
        assert first is not None
        assert (first.data["id"], first.data["state"]) == (mine, "cancelled")
        assert "output" not in first.data


@pytest.mark.parametrize("kept", [2_000, 3])
async def test_who_comes_back_has_missed_nothing(api: Asker, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(hub, "KEPT", kept)
    monkeypatch.setattr(hub, "AT_ONCE", 2)
    async with listening(api, "/events") as stream:
        first = await _ended(api, "first")
        seen = await stream.next("ended")
        assert seen is not None
        assert seen.data["id"] == first
    missed = [await _ended(api, f"p{n}") for n in range(8)]
    async with listening(api, "/events") as other, listening(api, "/events", last=seen.id) as stream:
        assert await other.next("figures")
        ids = [told.data["id"] for _ in missed if (told := await stream.next("ended"))]
        assert ids == missed
        later = await _ended(api, "later")
        for one in (stream, other):
            told = await one.next("ended")
            assert told is not None
            assert told.data["id"] == later


async def test_one_task_is_followed_to_its_end(api: Asker) -> None:
    task = await api("POST", "/tasks", {"prompt": "a"})
    path = f"/tasks/{task['id']}/events"
    async with listening(api, path) as stream:
        first = await stream.next()
        assert first is not None
        assert (first.name, first.data["state"]) == ("state", "ready")
        await api("PATCH", f"/tasks/{task['id']}", {"lane": "legal"})
        second = await stream.next()
        assert second is not None
        assert second.data["lane"] == "legal"
        async with listening(api, path, last=second.id) as again:
            await api("POST", f"/tasks/{task['id']}/cancel")
            for one in (stream, again):
                last = await one.next()
                assert last is not None
                assert last.data["state"] == "cancelled"
                assert await one.next() is None, "the stream has ended"
    async with listening(api, path, who=LEGAL) as stream:
        assert stream.status == 404


async def test_silence_is_broken_by_a_heartbeat(api: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(events, "FIGURES_S", 0.01)
    async with listening(api, "/events") as stream:
        assert (await stream.raw() or b"").startswith(b"retry: ")
        assert b"event: figures" in (await stream.raw() or b"")
        assert await stream.raw() == b": still here\n\n"


async def test_listeners_are_bounded_and_let_go(
    api: Asker, ending: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_OF_ONE", 2)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(listening(api, "/events")) for _ in range(2)]
        refused = await api.ask("GET", "/events")
        assert (refused.status_code, refused.json()["error"]["kind"]) == (429, "limit")
        assert refused.headers["retry-after"]
        async with listening(api, "/events", who=LEGAL) as other:
            assert other.status == 200
        ending.set()
        for stream in streams:
            while await stream.raw() is not None:
                pass
    monkeypatch.setattr(hub, "MOST_LISTENERS", 0)
    assert (await api.ask("GET", "/events")).status_code == 429
