"""The short way to the endpoints of calls: what it answers is what the application would."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response

from laneway.server.caller import KNOWN_AS, Asking, Caller
from laneway.server.calls import ClientGone
from laneway.server.envelopes import Refusal
from laneway.server.shortcut import Shortcut, ways

router = APIRouter(prefix="/v1")


@router.post("/say")
async def say(request: Request, caller: Asking) -> Response:
    match await request.body():
        case b"no":
            raise Refusal(429, "later", "rate_limit_error", retry_after=3)
        case b"gone":
            raise ClientGone
        case other:
            return Response(caller.name.encode() + b" said " + other)


@pytest.fixture
def app() -> Any:
    app = FastAPI()
    app.include_router(router)

    async def known(scope: Any, receive: Any, send: Any) -> None:
        scope[KNOWN_AS] = Caller("ann")
        await Shortcut(app, ways([router]))(scope, receive, send)

    return known


@pytest.fixture
async def client(app: Any) -> Any:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        yield client


async def test_the_endpoint_is_told_who_asks(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/say", content=b"hello")
    assert (answer.status_code, answer.text) == (200, "ann said hello")


async def test_refusals_come_in_the_shape_of_the_api(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/say", content=b"no")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json()["error"]["message"] == "later"


async def test_a_client_that_left_is_no_fault(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/say", content=b"gone")).status_code == 499


async def test_everything_else_is_the_application_s(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/say")).status_code == 405
    assert (await client.post("/v1/other")).status_code == 404
