"""A server that is told, on a real socket, and checks signatures as a receiver would."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import web

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()


def of_team(secret: str, team: str) -> str:
    """As the documentation has it, by other means than ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "whsec_" + base64.b64encode(hmac.new(key, team.encode(), hashlib.sha256).digest()).decode()


class Told(NamedTuple):
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    def signed_by(self, secret: str) -> bool:
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mine = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return f"v1,{mine}" in self.headers["webhook-signature"].split(" ")


class Receiver:
    """``answers``: statuses, the last one for good; a str: a redirect to there. ``held``: answered when it is set."""

    def __init__(self, *answers: int | str) -> None:
        self.answers = list(answers) or [204]
        self.told: list[Told] = []
        self.held = asyncio.Event()
        self.held.set()
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.held.set()
        await self._runner.cleanup()

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/hook"

    async def heard(self, n: int) -> None:
        async with asyncio.timeout(30):
            while len(self.told) < n:
                self._news.clear()
                await self._news.wait()

    async def _take(self, request: web.Request) -> web.Response:
        self.told.append(Told(request.headers.copy(), await request.read()))
        self._news.set()
        await self.held.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, str):
            return web.Response(status=307, headers={"Location": answer})
        return web.Response(status=answer, text="x" * 100_000, headers={"Retry-After": "600"} if answer == 429 else {})
