"""A provider's request as a durable task: validated, routed, submitted, waited for."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from laneway.app.routing import Routing
from laneway.errors import InputError, LanewayError, NoWorker
from laneway.intake.batch.lines import URLS, BatchLines
from laneway.intake.draft import BadLine
from laneway.intake.options import ReadOptions
from laneway.intake.records import LONGEST_KEY, tags_of
from laneway.server.envelopes import Refusal, of_error, of_task
from laneway.task import State, Task, Urgency, Wire

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.interface import Run

RUN = "serve"  # the run that the server's tasks belong to
PATHS: Mapping[Wire, str] = {wire: url for url, wire in URLS.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Wishes:
    """What a client asks of Laneway besides the answer, by headers or the body's metadata."""

    key: str | None = None
    lane: str | None = None
    urgency: str | None = None


class Requests:
    """``urgency``: of requests that name none, since somebody waits for them. ``patience``: seconds."""

    def __init__(self, lw: Laneway, urgency: Urgency, patience: float) -> None:
        self._lw = lw
        self._urgency = urgency
        self._patience = patience
        self._routing = Routing(lw, lw.catalog)
        self._run: Run | None = None
        self.waiting = 0

    async def answer(self, wire: Wire, body: dict[str, Any], wishes: Wishes) -> Task:
        """The succeeded task. Raises Refusal. When the client goes away, the task goes on."""
        try:
            task_id = await self._submit(wire, body, wishes)
        except LanewayError as error:
            raise of_error(error) from error
        self.waiting += 1
        try:
            task = await self._lw.board.wait(task_id, self._patience)
        except NoWorker as error:
            raise Refusal(503, "the server is closing; the task goes on", "server_error", task=task_id) from error
        except LanewayError as error:
            raise of_error(error, task_id) from error
        finally:
            self.waiting -= 1
        if task.state is not State.SUCCEEDED:
            raise of_task(task)
        if task.pruned:
            raise Refusal(
                410, "the answer to this Idempotency-Key was pruned; use another", code="pruned", task=task_id
            )
        return task

    async def _submit(self, wire: Wire, body: dict[str, Any], wishes: Wishes) -> int:
        lw = self._lw
        self._check_model(body.get("model"))
        metadata = body["metadata"] if isinstance(body.get("metadata"), dict) else {}
        if not body.get("store"):
            body.pop("metadata", None)  # OpenAI takes it only for answers that it stores; here it is for the rules
        wishes = Wishes(
            wishes.key, wishes.lane or _word(metadata, "lane"), wishes.urgency or _word(metadata, "urgency")
        )
        if wishes.key is not None and not 0 < len(wishes.key) <= LONGEST_KEY:
            raise InputError(f"an Idempotency-Key has up to {LONGEST_KEY} characters")
        try:
            urgency = lw.config.urgency_of(wishes.urgency) if wishes.urgency else self._urgency
        except ValueError as error:
            raise InputError(str(error)) from None
        key = wishes.key or uuid.uuid4().hex
        line = orjson.dumps({"custom_id": key, "url": PATHS[wire], "body": body})
        (draft,) = BatchLines(lw.config, ReadOptions(lane=wishes.lane, urgency=urgency)).drafts([(1, line)])
        if isinstance(draft, BadLine):
            raise Refusal(400, draft.reason.replace("body.", ""))
        draft = dataclasses.replace(draft, fields=metadata, tags=tags_of(metadata.get("tags")))
        task = self._routing.route(draft, lw.clock.now()).task
        if wishes.key is None:
            task = dataclasses.replace(task, key=None)
        done = await lw.store.submit(await self._open_run(), [task], lw.clock.now())
        if done.conflicts:
            raise Refusal(409, f"the Idempotency-Key {key!r} was used for another request", code="idempotency_conflict")
        lw.poke()
        return done.ids[0]

    def _check_model(self, name: object) -> None:
        if not isinstance(name, str) or name in ("", "auto"):
            return
        try:
            self._lw.catalog.model(name)
        except InputError as error:
            raise Refusal(404, f"{error.message}; {error.hint}", code="model_not_found", param="model") from error

    async def _open_run(self) -> Run:
        if self._run is None:
            now = self._lw.clock.now()
            self._run = await self._lw.store.open_run(RUN, info={"kind": "serve"}, max_cost=None, now=now, join=True)
        return self._run


def _word(metadata: Mapping[str, Any], name: str) -> str | None:
    value = metadata.get(name)
    return value if isinstance(value, str) and value else None
