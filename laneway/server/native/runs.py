"""Runs and their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from laneway.providers.answers.validate import Answers
from laneway.server.caller import Asking
from laneway.server.native.bounds import Cursor, Limit, NumberPath
from laneway.server.native.requests import NDJSON, JsonRoute
from laneway.server.native.seeing import Seeing, team_seen
from laneway.server.native.shapes import Page, ResultLine, RunAnswer
from laneway.server.native.telling import page_of, result_line, run_line
from laneway.store.steering import PauseKind

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.runs import Run

AS_LINES: dict[int | str, dict[str, Any]] = {
    200: {"content": {NDJSON: {"schema": {"type": "string", "description": "A ResultLine a line."}}}}
}


def runs_router(lw: Laneway, seeing: Seeing) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, tags=["runs"])

    async def told(runs: list[Run]) -> dict[int, dict[str, Any]]:
        paused = {one.name for one in await lw.store.pauses() if one.kind is PauseKind.RUN and one.since is not None}
        counts = await lw.store.run_counts([run.id for run in runs])
        return {run.id: run_line(run, counts.get(run.id, {}), str(run.id) in paused) for run in runs}

    @router.get("/runs", response_model=Page[RunAnswer])
    async def list_runs(caller: Asking, cursor: Cursor = None, limit: Limit = 50) -> Any:
        """The newest first, with the states of their tasks."""
        runs = await lw.store.list_runs(cursor, limit + 1, team=team_seen(caller))
        page = runs[:limit]
        lines = await told(page)
        return page_of(page, lambda run: lines[run.id], lambda run: run.id, page[-1].id if len(runs) > limit else None)

    @router.get("/runs/{run_id}", response_model=RunAnswer)
    async def get_run(run_id: NumberPath, caller: Asking) -> Any:
        run = await seeing.run(caller, run_id)
        return (await told([run]))[run.id]

    @router.get("/runs/{run_id}/results", response_model=Page[ResultLine], responses=AS_LINES)
    async def results(
        run_id: NumberPath,
        caller: Asking,
        request: Request,
        cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Limit = 100,
    ) -> Any:
        """Ended tasks in the order of ending, from behind the cursor on; `next` is where to go on, also later when
        more have ended. With `Accept: application/x-ndjson` a line each, and the cursor in `X-Laneway-Next`. Where the
        config hides content, only these lines have the answers."""
        run = await seeing.run(caller, run_id)
        found, answers = await lw.store.results_after(run, cursor, limit), Answers()
        as_lines = NDJSON in request.headers.get("accept", "")
        hidden = lw.config.hides_on_pages and not as_lines  # who takes lines away keeps them
        page = page_of(
            found,
            lambda one: result_line(one, answers, hidden=hidden),
            lambda one: one.seq,
            found[-1].seq if found else None,
        )
        if as_lines:
            lines = b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in page["data"])
            return Response(lines, media_type=NDJSON, headers={"X-Laneway-Next": str(page["next"] or cursor)})
        return page

    return router
