"""Asking the application without sockets."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI

from laneway.server.caller import KNOWN_AS, LOCAL, Caller
from laneway.server.guard import App, Receive, Scope, Send

CONFIG = """
[accounts.main]
provider = "openai"
base_url = "http://127.0.0.1:9/v1"
[accounts.tight]
provider = "openai"
base_url = "http://127.0.0.1:9/v1"
concurrency = 5
[models.small]
account = "main"
id = "gpt-4o-mini"
[models.strong]
account = "main"
id = "gpt-4o"
[lanes.legal]
concurrency = 10
[types.review]
prompt = "prompt.j2"
[defaults]
model = "small"
"""


class Refused(Exception):
    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(f"{status}: {error}")
        self.status, self.error = status, error
        self.kind: str = error["kind"]


class Known:
    """The application as somebody asks it whom the guard has let in."""

    def __init__(self, app: App, who: Caller) -> None:
        self._app, self._who = app, who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, KNOWN_AS: self._who}, receive, send)


class Asker:
    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, method: str, path: str, body: Any = None, *, who: Caller = LOCAL, **given: Any) -> Any:
        """What was answered. Raises Refused."""
        answer = await self.ask(method, path, body, who=who, **given)
        if answer.status_code >= 400:
            raise Refused(answer.status_code, answer.json()["error"])
        return answer.json()

    async def ask(
        self, method: str, path: str, body: Any = None, *, who: Caller = LOCAL, **given: Any
    ) -> httpx.Response:
        transport = httpx.ASGITransport(Known(self.app, who))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api/v1") as client:
            return await client.request(method, path, **({} if body is None else {"json": body}), **given)
