"""The application behind its guard, asked in this process: on a real store, on a clock that stands still."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import httpx

from laneway import Laneway
from laneway.clock import ManualClock
from laneway.config.models import Config
from laneway.server.access import access
from laneway.server.app import Manners, application
from laneway.server.guard import Guard
from laneway.server.shortcut import Shortcut
from laneway.server.tokens.keyring import Keyring
from laneway.server.tokens.secrets import digest_of, new_secret
from laneway.store.tokens import Role, Token
from laneway.task import Urgency
from tests.server.served import CONFIG

ENV = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
LARGEST = 100_000


class Door:
    """``own``: the environment's token."""

    def __init__(
        self,
        folder: Path,
        config: str = CONFIG,
        *,
        own: str | None = None,
        host: str = "127.0.0.1",
        tokens: bool = False,
    ) -> None:
        self.clock = ManualClock()
        settings = Config(**tomllib.loads(config))
        self.lw = Laneway(settings, store=f"sqlite:///{folder}/store.db", env=ENV, clock=self.clock)
        reachable = access(host, own, [], tokens=tokens)
        self.keyring = Keyring(self.lw, own, opened=reachable.opened)
        manners = Manners(Urgency.IMMEDIATE, patience=0.01, largest=LARGEST, works=False)
        self.ending = asyncio.Event()  # set: streams end at once
        self.app = application(self.lw, manners, self.keyring, self.ending)
        per_minute = settings.server.requests_per_minute
        guard: Any = Guard(
            Shortcut(self.app, self.app.state.calls), reachable, LARGEST, self.keyring, self.clock.now, per_minute
        )
        self._transport = httpx.ASGITransport(guard, raise_app_exceptions=True, client=("10.0.0.9", 1))
        self._clients: list[httpx.AsyncClient] = []

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["Authorization"] = f"Bearer {token}"
        client = httpx.AsyncClient(transport=self._transport, base_url="http://127.0.0.1:8080", headers=named)
        self._clients.append(client)
        return client

    async def token(self, name: str, role: Role = Role.SUBMIT, team: str | None = None, **limits: Any) -> str:
        """A new one, known to this server at once."""
        secret = new_secret()
        assert await self.lw.store.add_token(
            Token(name, digest_of(secret), role, team, created_at=self.clock.now(), **limits)
        )
        self.clock.advance(10)
        return secret

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()
        await self.lw.close()
