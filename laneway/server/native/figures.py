"""Figures: how everything stands, from counters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query

from laneway.app import views
from laneway.app.live_limits import limits_json, limits_set
from laneway.app.views.accounts import Account
from laneway.app.views.failures import FailureGroup
from laneway.app.views.figures import Shown
from laneway.app.views.kinds import Model, TaskType
from laneway.app.views.lanes import Lane
from laneway.app.views.overview import Overview
from laneway.app.views.workers import Worker
from laneway.server.caller import Asking, Steering
from laneway.server.native.requests import JsonRoute
from laneway.server.native.seeing import Seeing, team_seen
from laneway.server.native.shapes import LimitsSet, Page
from laneway.server.native.telling import page_of
from laneway.store.steering import Selector

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

From = Annotated[int, Query(ge=0, le=1_000_000, description="`next` of the page before.")]
Most = Annotated[int, Query(ge=1, le=100)]
OfRun = Annotated[int | None, Query(ge=1, le=2**53)]


def figures_router(lw: Laneway, seeing: Seeing) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, tags=["figures"])

    @router.get("/overview", response_model=Overview)
    async def overview(caller: Asking) -> Any:
        """Of a team: its tasks; what is shared is shown to all."""
        return (await views.overview(lw, team_seen(caller))).as_json()

    @router.get("/lanes", response_model=Page[Lane])
    async def lanes(caller: Asking, cursor: From = 0, limit: Most = 50) -> Any:
        """How deep they are, how old their oldest task is, and when they will be empty."""
        return _page(await views.lanes(lw, team_seen(caller)), cursor, limit)

    @router.get("/accounts", response_model=Page[Account])
    async def accounts(caller: Asking, cursor: From = 0, limit: Most = 50) -> Any:
        """What is in flight against which limit, how that was found, and whether they answer."""
        return _page(await views.accounts(lw, team_seen(caller)), cursor, limit)

    @router.get("/models", response_model=Page[Model])
    async def models(caller: Asking, cursor: From = 0, limit: Most = 50) -> Any:
        return _page(await views.models(lw, team_seen(caller)), cursor, limit)

    @router.get("/types", response_model=Page[TaskType])
    async def types(caller: Asking, cursor: From = 0, limit: Most = 50) -> Any:
        """How long their tasks wait and run, how many fail, and what one costs."""
        return _page(await views.types(lw, team_seen(caller)), cursor, limit)

    @router.get("/workers", response_model=Page[Worker])
    async def workers(caller: Steering, cursor: From = 0, limit: Most = 50) -> Any:
        return _page(await views.workers(lw), cursor, limit)

    @router.get("/failures", response_model=Page[FailureGroup])
    async def failures(caller: Asking, run: OfRun = None, cursor: From = 0, limit: Most = 50) -> Any:
        """What failed, by class and code, the most frequent first, each with an example. `POST /tasks/select` retries
        them by the same words."""
        if run is not None:
            await seeing.run(caller, run)
        return _page(await views.failures(lw, Selector(run_id=run, team=team_seen(caller))), cursor, limit)

    @router.get("/limits", response_model=list[LimitsSet])
    async def limits(caller: Steering) -> Any:
        """What is set of lanes' and accounts' limits, instead of the config's."""
        return [
            {
                "kind": one["kind"],
                "name": one["name"],
                "configured": one["configured"],
                "set": {limit: one[limit] for limit in one["configured"]},
                "set_by": one["set_by"],
                "set_at": one["set_at"],
            }
            for one in limits_json(lw.config, await limits_set(lw.store))
        ]

    return router


def _page(found: Sequence[Shown], cursor: int, limit: int) -> dict[str, Any]:
    """``cursor``: how many come before."""
    places = list(enumerate(found))[cursor : cursor + limit]
    behind = cursor + limit if cursor + limit < len(found) else None
    return page_of(places, lambda place: place[1].as_json(), lambda place: place[0] + 1, behind)
