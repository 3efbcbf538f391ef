"""``/tasks/results``: what has ended of many tasks that a client waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from laneway.errors import NotFoundError
from laneway.server.caller import Asking
from laneway.server.calls import ClientGone, disconnected
from laneway.server.native.bounds import LARGEST_PAGE, LONGEST_WAIT_S, Number
from laneway.server.native.changing import Changing
from laneway.server.native.forms import Form
from laneway.server.native.requests import JsonRoute
from laneway.server.native.shapes import Everything, TaskAnswer
from laneway.server.native.telling import page_of, whole_task
from laneway.store.steering import Selector
from laneway.task import State

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

MOST = 1_000  # tasks in one question
AT_ONCE = 200  # that are told together
ENDED = tuple(state for state in State if state.ended)
FIRST_LOOK_S, LOOKS_S = 0.05, 0.5  # between looks at the store: seldom, where it takes long


class GatherForm(Form):
    ids: Annotated[list[Number], Field(min_length=1, max_length=MOST)]
    timeout_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)] = 0.0


def gathering_router(lw: Laneway, changing: Changing) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, tags=["tasks"])

    @router.post("/tasks/results", response_model=Everything[TaskAnswer])
    async def gather(form: GatherForm, caller: Asking, request: Request) -> Any:
        """Some of these tasks that have ended, with their answers, as soon as one has, or none after so long. Ask again
        for the rest."""
        selector = await changing.own(caller, Selector(ids=tuple(form.ids)))
        if strange := set(form.ids).difference(await lw.store.select(selector)):
            raise NotFoundError(f"there is no task {min(strange)}")
        ended = await _ended(lw, request, selector._replace(states=ENDED), form.timeout_s)
        tasks = await lw.store.get_tasks(sorted(ended)[:AT_ONCE])
        told: list[dict[str, Any]] = []
        size = 0
        for task in sorted(tasks, key=lambda one: one.settled_at or 0.0):
            size += len(task.output or b"")
            if told and size > LARGEST_PAGE:
                break
            told.append(await whole_task(lw, task))
        return page_of(told, lambda one: one, lambda one: int(one["id"]), None)

    return router


async def _ended(lw: Laneway, request: Request, selector: Selector, timeout_s: float) -> list[int]:
    """Raises ClientGone when the client hangs up."""
    loop, wait = asyncio.get_running_loop(), FIRST_LOOK_S
    until = loop.time() + timeout_s
    gone = asyncio.ensure_future(disconnected(request))
    try:
        while not (ended := await lw.store.select(selector)) and (left := until - loop.time()) > 0:
            await asyncio.wait((gone,), timeout=min(wait, left))
            if gone.done():
                raise ClientGone
            wait = min(wait * 1.5, LOOKS_S)
        return ended
    finally:
        gone.cancel()
