"""Submitting tasks, and each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from laneway.app.explaining import explanation
from laneway.app.feedback import say_one
from laneway.app.flows.events import send
from laneway.app.flows.trees import MOST_NODES, grown
from laneway.app.steering import Verb
from laneway.errors import InputError, UsageError, WaitTimeout
from laneway.server.bodies import pieces
from laneway.server.caller import Asking
from laneway.server.calls import ClientGone, disconnected
from laneway.server.envelopes import Refusal
from laneway.server.native.bounds import (
    LONGEST_WAIT_S,
    MOST_BULK,
    Classes,
    Cursor,
    Keys,
    Limit,
    Names,
    RefPath,
    States,
)
from laneway.server.native.changing import Changing
from laneway.server.native.errors import ErrorAnswer, ItemFaults
from laneway.server.native.forms import BulkForm, ChangeForm, EventForm, FeedbackForm, NewTaskForm
from laneway.server.native.intake import NativeIntake
from laneway.server.native.listing import asked_by, selector_of
from laneway.server.native.requests import NDJSON, JsonRoute, media_type
from laneway.server.native.seeing import Seeing
from laneway.server.native.shapes import Changed, Done, Explained, Page, Taken, TaskAnswer, TaskLine, Tree
from laneway.server.native.telling import page_of, task_line, whole_task
from laneway.server.verbs import Verbs
from laneway.store.steering import Selector
from laneway.telemetry.wanted import carried

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.task import Task

BULK = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/BulkForm"}},
            NDJSON: {"schema": {"type": "string", "description": "A task a line."}},
        },
    }
}


def tasks_router(lw: Laneway, intake: NativeIntake, seeing: Seeing, changing: Changing, verbs: Verbs) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, tags=["tasks"])

    @router.post(
        "/tasks",
        status_code=201,
        response_model=TaskAnswer,
        responses={200: {"model": TaskAnswer, "description": "The key is known: this is its task."}},
    )
    async def submit(form: NewTaskForm, caller: Asking, request: Request, response: Response) -> Any:
        """Submit one task. It is durable when this answers."""
        done = await intake.take(caller, form.traced(carried(request.headers, lw.env)))
        response.status_code = 201 if done.new or done.shared else 200
        return await whole_task(lw, (await lw.store.get_tasks(done.ids))[0])

    @router.post("/tasks/bulk", status_code=201, response_model=Taken, openapi_extra=BULK)
    async def submit_many(request: Request, caller: Asking) -> Any:
        """Submit up to 10,000 tasks, all of them or none."""
        trace = carried(request.headers, lw.env)
        forms = [form.traced(trace) for form in _forms(await _sent(request))]
        done = await intake.take_many(caller, forms)
        return {
            "ids": done.ids,
            "new": done.new + done.shared,
            "known": done.kept + done.duplicates,
            "again": done.again,
        }

    @router.get("/tasks", response_model=Page[TaskLine])
    async def list_tasks(
        caller: Asking,
        state: States = None,
        type: Names = None,
        lane: Names = None,
        model: Names = None,
        urgency: Names = None,
        run: Annotated[int | None, Query(ge=1, le=2**53)] = None,
        tag: Names = None,
        key: Keys = None,
        class_: Annotated[Classes, Query(alias="class")] = None,
        code: Names = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Any:
        """The newest first, without their answers. All that is given must hold; of several values for one, any. A page
        may be short, or empty, and have a `next` all the same: it looks at a bounded number of tasks."""
        asked = asked_by(
            state=state,
            type=type,
            lane=lane,
            model=model,
            urgency=urgency,
            run=run,
            tag=tag,
            key=key,
            code=code,
            **{"class": class_},
        )
        selector = await changing.own(caller, selector_of(lw, asked))
        page = await lw.store.list_tasks(selector, cursor, limit)
        return page_of(page.tasks, task_line, lambda task: task.id, page.next)

    @router.get("/tasks/{ref}", response_model=TaskAnswer)
    async def get_task(ref: RefPath, caller: Asking) -> Any:
        return await whole_task(lw, await seeing.task(caller, ref))

    @router.get(
        "/tasks/{ref}/wait",
        response_model=TaskAnswer,
        responses={202: {"model": TaskAnswer, "description": "It has not ended yet."}},
    )
    async def wait(
        ref: RefPath,
        caller: Asking,
        request: Request,
        response: Response,
        timeout_s: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)] = 30,
    ) -> Any:
        """The task when it has ended, or as it is after so long."""
        task = await seeing.task(caller, ref)
        if not task.state.ended:
            task = await _ended(lw, request, task, timeout_s)
        response.status_code = 200 if task.state.ended else 202
        return await whole_task(lw, task)

    @router.get("/tasks/{ref}/explain", response_model=Explained)
    async def explain(ref: RefPath, caller: Asking) -> Any:
        """Why it went where it went, and what its calls came to; of a flow its steps, and what it began."""
        return (await explanation(lw, await seeing.task(caller, ref), MOST_NODES)).as_json(lw.clock.now())

    @router.get("/tasks/{ref}/tree", response_model=Tree)
    async def tree(ref: RefPath, caller: Asking) -> Any:
        """A flow, with what it began: `partial` where that is more than is looked at, the nearest first."""
        task = await seeing.task(caller, ref)
        nodes = await lw.store.trees([task.id], MOST_NODES + 1)
        return {**grown(nodes[:MOST_NODES])[0].as_json(lw.clock.now()), "partial": len(nodes) > MOST_NODES}

    @router.post("/tasks/{ref}/cancel", response_model=Changed)
    async def cancel(ref: RefPath, caller: Asking) -> Any:
        """What has not begun does not begin; a call in flight is broken off where this process makes it."""
        return {"changed": await verbs.one(caller, Verb.CANCEL, await seeing.task(caller, ref))}

    @router.post("/tasks/{ref}/retry", response_model=Changed)
    async def retry(ref: RefPath, caller: Asking) -> Any:
        """A failed or cancelled task goes again."""
        return {"changed": await verbs.one(caller, Verb.RETRY, await seeing.task(caller, ref))}

    @router.patch("/tasks/{ref}", response_model=Changed)
    async def change(ref: RefPath, form: ChangeForm, caller: Asking) -> Any:
        """Set urgency, lane, model or deadline of a task that has not ended."""
        task = await seeing.task(caller, ref)
        change = await changing.change(caller, form, Selector(ids=(task.id,), states=Verb.SET.states))
        detail = form.model_dump(mode="json", exclude_none=True)
        return {"changed": await verbs.one(caller, Verb.SET, task, change, detail)}

    @router.post("/tasks/{ref}/feedback", response_model=Done)
    async def feedback(ref: RefPath, form: FeedbackForm, caller: Asking) -> Any:
        """Say that its answer was good or bad, or what it really was. The last word counts."""
        task = await seeing.task(caller, ref)
        await say_one(lw, str(task.id), form.word, form.field, form.note)
        return {}

    @router.post("/tasks/{ref}/event", response_model=Done, responses={409: {"model": ErrorAnswer}})
    async def event(ref: RefPath, form: EventForm, caller: Asking) -> Any:
        """Say something to a flow, which waits for it or will."""
        await send(lw, str((await seeing.task(caller, ref)).id), form.name, form.data)
        return {}

    return router


async def _ended(lw: Laneway, request: Request, task: Task, timeout_s: float) -> Task:
    """Raises ClientGone when the client hangs up."""
    waiting = asyncio.ensure_future(lw.board.wait(task.id, timeout_s))
    gone = asyncio.ensure_future(disconnected(request))
    try:
        await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientGone
        return waiting.result()
    except WaitTimeout:  # also where no worker is there
        return await lw.board.look(task.id)
    finally:
        waiting.cancel()
        gone.cancel()


async def _sent(request: Request) -> list[Any]:
    """The tasks of a bulk request. Raises Refusal."""
    content = bytearray()
    kind = media_type(request)
    if kind not in ("application/json", NDJSON):
        raise Refusal(415, f"send application/json or {NDJSON}", code="usage")
    async for piece in pieces(request, request.app.state.largest):
        content += piece
    try:
        if kind == NDJSON:
            return [orjson.loads(line) for line in bytes(content).splitlines() if line.strip()]
        said = BulkForm.model_validate(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise InputError(f"this is not JSON: {error}") from None
    except ValidationError as error:
        raise UsageError(_said(error)) from None
    return said.tasks


def _forms(tasks: list[Any]) -> list[NewTaskForm]:
    if not 1 <= len(tasks) <= MOST_BULK:
        raise UsageError(f"there are {len(tasks):,} tasks; send 1 to {MOST_BULK:,}")
    forms: list[NewTaskForm] = []
    faults: dict[int, str] = {}
    for index, task in enumerate(tasks):
        try:
            forms.append(NewTaskForm.model_validate(task))
        except ValidationError as error:
            faults[index] = _said(error)
    if faults:
        raise ItemFaults(faults)
    return forms


def _said(error: ValidationError) -> str:
    first: Mapping[str, Any] = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
