"""Routes to pages, to their live parts and to what can be done on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from laneway.errors import LanewayError
from laneway.server.audit import Audit
from laneway.server.backpressure import Gate
from laneway.server.bodies import pieces
from laneway.server.bulk import Bulk
from laneway.server.caller import Asking, Caller, operator, steersman
from laneway.server.dashboard.assets import asset, assets_router
from laneway.server.dashboard.changes import Changes
from laneway.server.dashboard.menu import PAGES
from laneway.server.dashboard.page import Asked, Deed, Page, filled
from laneway.server.dashboard.rendering import render
from laneway.server.dashboard.themes import theme_of, themes_router
from laneway.server.envelopes import Refusal, of_error
from laneway.server.verbs import Verbs

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

LARGEST_FORM = 64_000  # bytes
Endpoint = Callable[[Request, Caller], Awaitable[Response]]
Ask = Callable[..., Asked]  # of a caller, a place, a query and a form


def dashboard_router(lw: Laneway, gate: Gate, ending: asyncio.Event) -> APIRouter:
    """``ending`` is set when the server ends."""
    router = APIRouter()
    changes, audit = Changes(lw, ending), Audit(lw)
    verbs = Verbs(lw, audit, gate)
    ask = partial(Asked, lw, audit, verbs, Bulk(lw, verbs))
    router.include_router(assets_router())
    router.include_router(themes_router())

    @router.get("/ui/changes")
    async def changed(_: Asking) -> Response:
        changes.check()
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(changes.stream(), media_type="text/event-stream", headers=headers)

    @router.get("/favicon.ico")
    async def icon() -> Response:
        return RedirectResponse(asset("icon.svg"), 303)

    for page in PAGES:
        router.get(page.path)(_whole(ask, page))
        router.get(f"{page.part}/live")(_live(ask, page))
        for deed in page.deeds:
            router.post(f"{page.part}/{deed.name}")(_deed(ask, page, deed))
    return router


def _whole(ask: Ask, page: Page) -> Endpoint:
    async def whole(request: Request, caller: Asking) -> Response:
        try:
            asked = _asked(ask, request, caller)
            values = {**_values(page, asked, request), **await page.figures(asked)}
        except (Refusal, LanewayError) as error:
            return refused(error, request, caller)
        return HTMLResponse(render("page.html", values))

    return whole


def _live(ask: Ask, page: Page) -> Endpoint:
    async def live(request: Request, caller: Asking) -> Response:
        try:
            return await _part(page, _asked(ask, request, caller), request)
        except (Refusal, LanewayError) as error:
            return _told(error)

    return live


def _deed(ask: Ask, page: Page, deed: Deed) -> Endpoint:
    async def do(request: Request, caller: Asking) -> Response:
        try:
            await (steersman if deed.shared else operator)(caller)
            asked = _asked(ask, request, caller, await _form(request))
            said = await deed.does(asked)
            if "hx-request" in request.headers:
                return await _part(page, asked, request, said)
        except (Refusal, LanewayError) as error:
            return _told(error) if "hx-request" in request.headers else refused(error, request, caller)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(filled(page.path, request.path_params) + query, 303)

    return do


async def _part(page: Page, asked: Asked, request: Request, said: str = "") -> Response:
    values = {**_values(page, asked, request), **await page.figures(asked), "said": said}
    return HTMLResponse(render("part.html", values))


def _asked(ask: Ask, request: Request, caller: Caller, form: Mapping[str, str] | None = None) -> Asked:
    return ask(caller, request.path_params, dict(request.query_params), form or {})


def _values(page: Page, asked: Asked, request: Request) -> dict[str, Any]:
    part, query = filled(page.part, request.path_params), request.url.query
    behind = f"?{query}" if query else ""
    return {
        **_frame(request, asked.caller),
        "title": page.title,
        "template": page.template,
        "live": page.live,
        "live_url": f"{part}/live{behind}",
        "deed": lambda name: f"{part}/{name}{behind}",
        "present": page.under or page.path,
        "now": asked.now,
    }


def _frame(request: Request, caller: Caller) -> dict[str, Any]:
    """What every page shows around its own."""
    query = f"?{request.url.query}" if request.url.query else ""
    return {"caller": caller, "theme": theme_of(request), "here": request.url.path + query}


async def _form(request: Request) -> dict[str, str]:
    """What a page's form sent. Raises Refusal."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Refusal(415, "send a form")
    content = b"".join([piece async for piece in pieces(request, LARGEST_FORM)])
    return dict(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000))


def refused(error: Refusal | LanewayError, request: Request, caller: Caller) -> Response:
    """A whole page that says why there is no other."""
    refusal = error if isinstance(error, Refusal) else of_error(error)
    values = {**_frame(request, caller), "title": _heading(refusal.status), "present": "", "message": refusal.message}
    return HTMLResponse(render("refused.html", values), refusal.status)


def _told(error: Refusal | LanewayError) -> Response:
    """The same beside a page that stays as it was."""
    refusal = error if isinstance(error, Refusal) else of_error(error)
    return HTMLResponse(render("told.html", {"message": refusal.message}), refusal.status, {"HX-Reswap": "none"})


def _heading(status: int) -> str:
    return {403: "Not yours to see or change", 404: "Not found"}.get(status, "That did not work")
