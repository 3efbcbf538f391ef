"""An interactive call as a durable task: validated, routed, submitted, waited for."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import Request

from laneway.app.jobs import Answered
from laneway.app.routing import Routing
from laneway.errors import InputError, LanewayError, NoWorker
from laneway.intake.batch.lines import BatchLines
from laneway.intake.batch.request import Bad
from laneway.intake.options import ReadOptions
from laneway.server.backpressure import Gate
from laneway.server.caller import Caller
from laneway.server.envelopes import Refusal, of_error, of_task
from laneway.server.tokens.allowing import allowed
from laneway.server.wishes import wishes_of
from laneway.task import State, Task, Urgency, Wire
from laneway.telemetry.wanted import carried

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.providers.streams.follow import Listener
    from laneway.store.runs import Run

MOST_READERS = 100  # kept: lanes are named by clients
RUN = "serve"  # the run that the server's tasks belong to; each team has one of its own, and so keys of its own


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """A task that is on disk. ``keyed``: by the client, who may come back for it. ``new``: nobody has done it yet."""

    task_id: int
    keyed: bool
    new: bool


CLIENT_GONE = 499  # nginx's word for it; nobody reads it


class ClientGone(Exception):
    """Nobody is there to be answered."""


class Calls:
    """``urgency``: of calls that name none, since somebody waits for them. ``patience``: seconds. ``here``: names the
    worker of this process, whose death is that of all connections; "" without one."""

    def __init__(
        self, lw: Laneway, urgency: Urgency, patience: float, gate: Gate, here: Callable[[], str] = lambda: ""
    ) -> None:
        self._lw = lw
        self._gate = gate
        self._urgency = urgency
        self._patience = patience
        self._here = here
        self._config = lw.config
        self._routing = Routing(lw, lw.catalog)
        self._runs: dict[str | None, Run] = {}
        self._lines: dict[tuple[str | None, Urgency], BatchLines] = {}
        self._own, self._number = uuid.uuid4().hex, itertools.count()  # keys of those that come without
        self.waiting = 0

    async def answer(self, request: Request, wire: Wire, body: dict[str, Any], caller: Caller) -> Task | Answered:
        """The succeeded task. Raises Refusal, and ClientGone when the client hangs up: then its task is cancelled,
        unless it has a key of the client's."""
        accepted = await self.accept(request, wire, body, caller)
        waiting = asyncio.ensure_future(self.ended(accepted))
        gone = asyncio.ensure_future(disconnected(request))
        try:
            await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
        finally:
            waiting.cancel()
            gone.cancel()
        await self.left(accepted)
        raise ClientGone

    async def accept(
        self, request: Request, wire: Wire, body: dict[str, Any], caller: Caller, listener: Listener | None = None
    ) -> Accepted:
        """Durable when this returns. ``listener``: follows the answer, if it is written in this process; to be taken
        out by ``forget``. Raises Refusal."""
        try:
            return await self._submit(request, wire, body, caller, listener)
        except Bad as error:
            raise Refusal(400, str(error).replace("body.", "").replace("params.", "")) from error
        except LanewayError as error:
            raise of_error(error) from error

    async def ended(self, accepted: Accepted) -> Task | Answered:
        """Raises Refusal when it ends without an answer, or not in time."""
        self.waiting += 1
        task_id = accepted.task_id
        try:
            task = await self._lw.board.answer(task_id, self._patience, new=accepted.new)
        except NoWorker as error:
            raise Refusal(503, "no worker is there; the task waits for one", "server_error", task=task_id) from error
        except LanewayError as error:
            raise of_error(error, task_id) from error
        finally:
            self.waiting -= 1
        if isinstance(task, Answered):
            return task
        if task.state is not State.SUCCEEDED:
            raise of_task(task)
        if task.pruned:
            raise Refusal(
                410, "the answer to this Idempotency-Key was pruned; use another", code="pruned", task=task_id
            )
        return task

    def forget(self, listener: Listener) -> None:
        """It follows nothing any more."""
        for place in [place for place, known in self._lw.listeners.items() if known is listener]:
            del self._lw.listeners[place]

    async def left(self, accepted: Accepted) -> None:
        """The client has gone."""
        if not accepted.keyed:
            await self._lw.call_off(accepted.task_id)

    async def _submit(
        self, request: Request, wire: Wire, body: dict[str, Any], caller: Caller, listener: Listener | None
    ) -> Accepted:
        lw = self._lw
        self._heed_config()
        self._check_model(body.get("model"))
        metadata = body["metadata"] if isinstance(body.get("metadata"), dict) else {}
        _take_out_metadata(wire, body, metadata)
        wishes = wishes_of(request.headers, metadata)
        urgency = wishes.level(lw.config, self._urgency, caller)
        key = wishes.key or f"{self._own}-{next(self._number)}"
        draft = self._reader(wishes.lane, urgency).draft(1, key, wire, body)
        draft = dataclasses.replace(draft, fields=metadata, tags=(*wishes.tags, *carried(request.headers, lw.env)))
        now = lw.clock.now()
        routed = self._routing.route(draft, now)
        task = allowed(caller, routed.task, lw.config, now)
        named = wishes.key if listener is None else key
        answers_to = None if wishes.key else self._here() or None
        task = dataclasses.replace(task, key=named, team=caller.team, answers_to=answers_to)
        run = await self._open_run(caller)

        async def known() -> bool:
            return bool(await lw.store.named(run, [key]))

        async with self._gate.place(caller, known=None if wishes.key is None else known):
            if listener is not None:
                lw.listeners.setdefault((run.id, key), listener)  # the first who asks with a key follows the call
            submitting = lw.store.submit(run, [task], now)
            begun = lw.claim_at_once(run, task)
            done = await submitting
        if done.conflicts:
            raise Refusal(409, f"the Idempotency-Key {key!r} was used for another request", code="idempotency_conflict")
        if not begun:
            lw.poke()
        return Accepted(done.ids[0], wishes.key is not None, done.new == 1)

    def _heed_config(self) -> None:
        """A new one may have come since the last call."""
        if self._config is not self._lw.config:
            self._config = self._lw.config
            self._routing = Routing(self._lw, self._lw.catalog)
            self._lines.clear()

    def _reader(self, lane: str | None, urgency: Urgency) -> BatchLines:
        known = self._lines.get((lane, urgency))
        if known is None:
            if len(self._lines) >= MOST_READERS:
                self._lines.clear()
            known = self._lines[lane, urgency] = BatchLines(self._lw.config, ReadOptions(lane=lane, urgency=urgency))
        return known

    def _check_model(self, name: object) -> None:
        if not isinstance(name, str) or name in ("", "auto"):
            return
        try:
            self._lw.catalog.model(name)
        except InputError as error:
            raise Refusal(404, f"{error.message}; {error.hint}", code="model_not_found", param="model") from error

    async def _open_run(self, caller: Caller) -> Run:
        if caller.team not in self._runs:
            identity = RUN if caller.team is None else f"{RUN} {caller.team}"
            info, now = {"kind": "serve", "team": caller.team}, self._lw.clock.now()
            run = await self._lw.store.open_run(identity, info=info, max_cost=None, now=now, join=True)
            self._runs[caller.team] = run
        return self._runs[caller.team]


def _take_out_metadata(wire: Wire, body: dict[str, Any], metadata: dict[str, Any]) -> None:
    """It is for the rules here. OpenAI takes it only for answers that it stores, Anthropic nothing but a user's id."""
    if wire is Wire.MESSAGES:
        kept = {name: value for name, value in metadata.items() if name == "user_id"}
        if kept:
            body["metadata"] = kept
        else:
            body.pop("metadata", None)
    elif not body.get("store"):
        body.pop("metadata", None)


async def disconnected(request: Request) -> None:
    """Return when the client hangs up. Its body has been read by now."""
    with contextlib.suppress(RuntimeError):  # of a server that has ended the request already
        while (await request.receive())["type"] != "http.disconnect":
            pass
