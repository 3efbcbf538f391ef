"""``/events`` and ``/tasks/{ref}/events``: what happens, as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Header

from laneway.server.caller import Asking, Caller
from laneway.server.native.bounds import RefPath
from laneway.server.native.hub import Hub
from laneway.server.native.requests import JsonRoute
from laneway.server.native.seeing import Seeing
from laneway.server.native.streaming import EVENTS, HEARTBEAT, HEARTBEAT_S, RETRY, EventStream, event
from laneway.task import State

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

FIGURES_S = 2.0  # how often figures are looked at
AS_EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {EVENTS: {"schema": {"type": "string"}}}}}
LastId = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=2**53, description="Goes on behind it.")]
LastState = Annotated[str | None, Header(alias="Last-Event-ID", max_length=200)]


def events_router(lw: Laneway, seeing: Seeing, hub: Hub) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, tags=["events"])

    @router.get("/events", status_code=200, response_class=EventStream, responses=AS_EVENTS)
    async def events(caller: Asking, last_event_id: LastId = None) -> EventStream:
        """Server-sent events: `ended` with a task as lists have it, `figures` every few seconds when they have changed.
        Who comes back with `Last-Event-ID` misses nothing that has ended meanwhile."""
        return await _begun(_events(caller, last_event_id))

    @router.get("/tasks/{ref}/events", status_code=200, response_class=EventStream, responses=AS_EVENTS)
    async def task_events(ref: RefPath, caller: Asking, last_event_id: LastState = None) -> EventStream:
        """Server-sent events: `state` with the task as lists have it, at every change until it has ended."""
        task = await seeing.task(caller, ref)
        return await _begun(_task_events(caller, task.id, last_event_id))

    async def _events(caller: Caller, cursor: int | None) -> AsyncGenerator[bytes, None]:
        with hub.listening(caller):
            newest = await hub.begin()
            cursor = newest if cursor is None or cursor > newest else cursor
            yield RETRY
            clock = asyncio.get_running_loop().time
            said_at = looked_at = clock()
            figures = await hub.figures(caller)
            yield event("figures", figures, cursor)
            while not hub.closed:
                found = await hub.after(cursor)
                for one in found:
                    cursor = one.seq
                    if await seeing.sees_run(caller, one.run_id):
                        yield event("ended", one.line, one.seq)
                        said_at = clock()
                if clock() - looked_at >= FIGURES_S:
                    looked_at = clock()
                    if (now := await hub.figures(caller)) != figures:
                        figures, said_at = now, clock()
                        yield event("figures", figures, cursor)
                if clock() - said_at >= HEARTBEAT_S:
                    said_at = clock()
                    yield HEARTBEAT
                if not found:
                    await hub.wait(FIGURES_S)

    async def _task_events(caller: Caller, task_id: int, seen: str | None) -> AsyncGenerator[bytes, None]:
        with hub.listening(caller, task_id):
            await hub.begin()
            yield RETRY
            clock = asyncio.get_running_loop().time
            said_at = clock()
            while not hub.closed:
                line = hub.line(task_id)
                if line is not None and (at := _place(line)) != seen:
                    seen, said_at = at, clock()
                    yield event("state", line, at)
                if line is not None and State(line["state"]).ended:
                    return
                if clock() - said_at >= HEARTBEAT_S:
                    said_at = clock()
                    yield HEARTBEAT
                await hub.wait(FIGURES_S)

    return router


async def _begun(events: AsyncGenerator[bytes, None]) -> EventStream:
    """Up to the first piece, so that what refuses a listener is an answer of its own."""
    first = await anext(events)

    async def all_of_them() -> AsyncGenerator[bytes, None]:
        try:
            yield first
            async for piece in events:
                yield piece
        finally:
            await events.aclose()

    return EventStream(all_of_them())


def _place(line: Mapping[str, Any]) -> str:
    """Where in its life a task is, in a word without anybody's words."""
    place = [line[name] for name in ("state", "attempts", "wait_reason", "model", "urgency", "lane")]
    return blake2b(orjson.dumps(place), digest_size=8).hexdigest()
