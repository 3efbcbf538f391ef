"""Answers that go out while they are written. The last events wait until the answer is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from laneway.app.jobs import Answered
from laneway.server import told
from laneway.server.answers import named, streamed
from laneway.server.caller import Caller
from laneway.server.calls import Accepted, Calls, ClientGone, disconnected
from laneway.server.envelopes import Refusal
from laneway.task import Task, Wire

_LAST = ("message_delta", "message_stop", "response.completed", "response.incomplete")


class Live:
    """Listens to one call."""

    def __init__(self, wire: Wire, *, with_usage: bool) -> None:
        """``with_usage``: the client of a chat wants the chunk that tells it."""
        self.told = False
        self.held: list[bytes] = []  # the events that say that it is over
        self.wire = wire
        self._with_usage = with_usage
        self._events: list[bytes] = []
        self._news = asyncio.Event()
        self._over = False

    def hear(self, event: bytes, data: Any) -> None:
        if self.held or self._is_last(data):
            if self._with_usage or not _is_usage(self.wire, data):
                self.held.append(event)
            return
        self.told = True
        self._events.append(event)
        self._news.set()

    def close(self) -> None:
        self._over = True
        self._news.set()

    async def begun(self) -> None:
        """Return when there is something to be passed on, or nothing will come."""
        await self._news.wait()

    async def events(self) -> AsyncIterator[bytes]:
        """What comes, until it is closed."""
        while True:
            await self._news.wait()
            self._news.clear()
            events, self._events = self._events, []
            if events:
                yield b"".join(events)
            if self._over and not self._events:
                return

    def _is_last(self, data: Any) -> bool:
        if not isinstance(data, dict):
            return False
        if self.wire is Wire.CHAT:
            return any(choice.get("finish_reason") for choice in data.get("choices") or ())
        return data.get("type") in _LAST


class Streams:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._leaving: set[asyncio.Future[None]] = set()

    async def answer(
        self, request: Request, wire: Wire, body: dict[str, Any], caller: Caller, *, with_usage: bool = False
    ) -> Response:
        """A stream of events: as they come where the call is made here in the client's own format, else of the finished
        answer. Raises Refusal when it ends before anything could be passed on, and ClientGone."""
        live = Live(wire, with_usage=with_usage)
        try:
            accepted = await self._calls.accept(request, wire, body, caller, live)
        except BaseException:
            self._calls.forget(live)
            raise
        ended = asyncio.ensure_future(self._calls.ended(accepted))

        def over(ended: asyncio.Future[Task | Answered]) -> None:
            live.close()
            self._calls.forget(live)
            if not ended.cancelled():
                ended.exception()  # it is told where it is awaited, if anybody is left to be told

        ended.add_done_callback(over)
        gone = asyncio.ensure_future(disconnected(request))
        begun = asyncio.ensure_future(live.begun())
        try:
            await asyncio.wait((begun, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            begun.cancel()
        if live.told:
            events = self._follow(live, ended, accepted)
            return StreamingResponse(events, headers=named(accepted.task_id), media_type="text/event-stream")
        if ended.done():
            return streamed(ended.result(), with_usage=with_usage)
        ended.cancel()
        await self._calls.left(accepted)
        raise ClientGone

    async def _follow(
        self, live: Live, ended: asyncio.Future[Task | Answered], accepted: Accepted
    ) -> AsyncIterator[bytes]:
        try:
            async for events in live.events():
                yield events
            try:
                task = ended.result()
            except Refusal as refusal:
                yield told.error(live.wire, refusal)
            else:
                yield b"".join(live.held) or told.error(live.wire, _other_answer(task))
        finally:
            if not ended.done():  # the client hung up; what is awaited here would be cancelled, too
                ended.cancel()
                leaving = asyncio.ensure_future(self._calls.left(accepted))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)


def _is_usage(wire: Wire, data: Any) -> bool:
    return wire is Wire.CHAT and isinstance(data, dict) and not data.get("choices") and "usage" in data


def _other_answer(task: Task | Answered) -> Refusal:
    """Its worker lost the task, and another has answered anew."""
    return Refusal(502, "the call was lost in the middle; ask again by its key", "server_error", task=task.id)
