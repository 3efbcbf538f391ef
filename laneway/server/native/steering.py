"""Steering: pausing, and verbs for many tasks at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from laneway.app.live_limits import configured_limits, limits_set
from laneway.app.steering import Verb
from laneway.errors import UsageError
from laneway.server.audit import Audit
from laneway.server.caller import Caller, Operating, Steering
from laneway.server.holding import drain, hold, limit
from laneway.server.native.bounds import NamePath, NumberPath
from laneway.server.native.changing import Changing
from laneway.server.native.forms import AccountLimitsForm, LaneLimitsForm, LimitsForm, SelectForm
from laneway.server.native.listing import selector_of
from laneway.server.native.requests import JsonRoute
from laneway.server.native.seeing import Seeing
from laneway.server.native.shapes import Draining, Held, LimitsSet, Selected
from laneway.server.verbs import Verbs
from laneway.store.steering import PauseKind, Selector

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


def steering_router(lw: Laneway, seeing: Seeing, changing: Changing, verbs: Verbs, audit: Audit) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, tags=["steering"])

    async def held(caller: Caller, kind: PauseKind, name: str, *, paused: bool) -> dict[str, Any]:
        changed = await hold(lw, audit, caller, kind, name, paused=paused)
        return {"kind": kind.value, "name": name, "paused": paused, "changed": changed}

    @router.post("/lanes/{name}/pause", response_model=Held)
    async def pause_lane(name: NamePath, caller: Steering) -> Any:
        """Nothing new starts there until it is resumed; calls in flight are finished."""
        return await held(caller, PauseKind.LANE, name, paused=True)

    @router.post("/lanes/{name}/resume", response_model=Held)
    async def resume_lane(name: NamePath, caller: Steering) -> Any:
        return await held(caller, PauseKind.LANE, name, paused=False)

    @router.post("/accounts/{name}/pause", response_model=Held)
    async def pause_account(name: NamePath, caller: Steering) -> Any:
        return await held(caller, PauseKind.ACCOUNT, name, paused=True)

    @router.post("/accounts/{name}/resume", response_model=Held)
    async def resume_account(name: NamePath, caller: Steering) -> Any:
        """Also after a failure that paused it."""
        return await held(caller, PauseKind.ACCOUNT, name, paused=False)

    async def limited(caller: Caller, kind: PauseKind, name: str, form: LimitsForm) -> dict[str, Any]:
        await limit(lw, audit, caller, kind, name, form.changes)
        found = next((one for one in await limits_set(lw.store) if (one.kind, one.name) == (kind, name)), None)
        return {
            "kind": kind.value,
            "name": name,
            "configured": configured_limits(lw.config, kind, name),
            "set": dict(found.values) if found else {},
            "set_by": found.by if found else None,
            "set_at": found.at if found else None,
        }

    @router.patch("/lanes/{name}", response_model=LimitsSet)
    async def limit_lane(name: NamePath, form: LaneLimitsForm, caller: Steering) -> Any:
        """Change its concurrency or weight while it works. All workers go by it within a second, also after a
        restart."""
        return await limited(caller, PauseKind.LANE, name, form)

    @router.patch("/accounts/{name}", response_model=LimitsSet)
    async def limit_account(name: NamePath, form: AccountLimitsForm, caller: Steering) -> Any:
        """Lower its limits, or change its weight, while it works."""
        return await limited(caller, PauseKind.ACCOUNT, name, form)

    @router.post("/workers/{name}/drain", response_model=Draining)
    async def drain_one(name: NamePath, caller: Steering) -> Any:
        """A worker, on whichever machine, starts nothing more, finishes what it has and ends. It hears of it within a
        few seconds."""
        await drain(lw, audit, caller, name)
        return {"worker": name, "draining": True}

    @router.post("/runs/{run_id}/pause", response_model=Held)
    async def pause_run(run_id: NumberPath, caller: Operating) -> Any:
        await seeing.run(caller, run_id)
        return await held(caller, PauseKind.RUN, str(run_id), paused=True)

    @router.post("/runs/{run_id}/resume", response_model=Held)
    async def resume_run(run_id: NumberPath, caller: Operating) -> Any:
        await seeing.run(caller, run_id)
        return await held(caller, PauseKind.RUN, str(run_id), paused=False)

    @router.post("/tasks/select", response_model=Selected)
    async def select(form: SelectForm, caller: Operating) -> Any:
        """Cancel, retry or change all tasks that a filter finds; with `dry_run` only count them."""
        verb = Verb(form.verb)
        selector = selector_of(lw, form.filter)
        if selector == Selector():
            raise UsageError("which tasks?", hint="give a filter: run, state, class, lane …")
        states = tuple(state for state in selector.states or verb.states if state in verb.states)
        if not states:
            raise UsageError(f"there is nothing to {verb} about tasks in these states")
        selector = await changing.own(caller, selector._replace(states=states))
        counts = await lw.store.count_tasks(selector)
        changed = 0
        if form.change is not None:
            change = await changing.change(caller, form.change, selector)
        else:
            change = None
        if not form.dry_run:
            detail = form.model_dump(mode="json", exclude_none=True, exclude_defaults=True, by_alias=True)
            changed = await verbs.many(caller, verb, selector, change, detail=detail)
        states_found = {state.value: n for state, n in counts.items() if n}
        matched = sum(states_found.values())
        return {"matched": matched, "states": states_found, "changed": changed, "dry_run": form.dry_run}

    return router
