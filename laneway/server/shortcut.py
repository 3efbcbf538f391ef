"""The short way to the endpoints of calls. FastAPI's own (its middlewares, its exit stacks and its dependencies, which
these endpoints have no use for) costs a fifth of what the event loop does for a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute

from laneway.server.answers import refused
from laneway.server.caller import Caller, caller
from laneway.server.calls import CLIENT_GONE, ClientGone
from laneway.server.envelopes import Refusal
from laneway.server.probes import Receive, Scope, Send

Endpoint = Callable[[Request, Caller], Awaitable[Response]]


class Way(NamedTuple):
    path: str
    endpoint: Endpoint


class Shortcut:
    """Stands before the application, behind the guard. ``ways``: endpoints that it has as well, by their POST's path.
    They may take nothing but the request and its caller, and raise nothing but Refusal and ClientGone."""

    def __init__(self, app: FastAPI, ways: dict[str, Endpoint]) -> None:
        self._app = app
        self._ways = {path: Way(path, endpoint) for path, endpoint in ways.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._ways.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if way is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = way  # who counts requests asks for it
        request = Request(scope, receive, send)
        try:
            response = await way.endpoint(request, await caller(request))
        except Refusal as refusal:
            response = refused(request, refusal)
        except ClientGone:
            response = Response(status_code=CLIENT_GONE)
        await response(scope, receive, send)


def ways(routers: Iterable[APIRouter]) -> dict[str, Endpoint]:
    """All routes of theirs."""
    routes = (route for router in routers for route in router.routes if isinstance(route, APIRoute))
    return {route.path: route.endpoint for route in routes}
