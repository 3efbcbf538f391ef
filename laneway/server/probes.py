"""``/healthz`` and ``/readyz`` of the server, for Kubernetes, a load balancer or systemd.

They are answered before anybody is asked who they are: a probe has no token, and comes with the Host it likes. They
tell no content. What they say is what a worker's say (``health.py``); a server without a worker has no lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import orjson

from laneway.app.renewing import Shift
from laneway.errors import StoreError
from laneway.server.health import STARTING, Health

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STORE_PATIENCE_S = 2.0  # for a store to answer
KEPT_S = 1.0  # how long its answer is believed: probes must not become load


class Duty:
    """How the server stands. ``shift``: its worker, and its way to a new config."""

    def __init__(self, lw: Laneway, ending: asyncio.Event, *, works: bool) -> None:
        """``ending``: is set when the server begins to end. ``works``: it has a worker."""
        self._lw = lw
        self._ending = ending
        self.shift = Shift(lw, works=works)
        self.started = False
        self._store_is_there = False
        self._asked_at = float("-inf")

    @property
    def draining(self) -> bool:
        return self._ending.is_set()

    def health(self) -> Health | None:
        if not self.started:
            return None
        if self.shift.working is None:
            return Health(self.draining, float("inf"), 0.0, 0.0, 0)
        return Health(self.draining, *self.shift.vital(), self.shift.in_flight)

    async def reload(self) -> None:
        """Read the config again, and go by it where it is sound."""
        await self.shift.renew(self._lw.reread)

    async def has_store(self) -> bool:
        """Whether the store answers, asked once a second at most."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= KEPT_S:
            self._asked_at = now
            try:
                async with asyncio.timeout(STORE_PATIENCE_S):
                    await self._lw.store.load_state("probe")
            except (StoreError, TimeoutError):
                self._store_is_there = False
            else:
                self._store_is_there = True
        return self._store_is_there


class Probes:
    """Stands before everything else."""

    def __init__(self, app: App, duty: Duty) -> None:
        self._app = app
        self._duty = duty

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path")
        if scope["type"] != "http" or path not in ("/healthz", "/readyz"):
            await self._app(scope, receive, send)
            return
        health = self._duty.health()
        fine = health is None or health.lives
        said: dict[str, Any] = STARTING if health is None else _as_json(health)
        if path == "/readyz":
            fine = health is not None and health.works
            if fine and not await self._duty.has_store():
                fine, said = False, {**said, "status": "no store"}
        await _answer(send, 200 if fine else 503, said)


def _as_json(health: Health) -> dict[str, Any]:
    """A server without a worker has no lease to tell of."""
    return {name: None if value == float("inf") else value for name, value in health.as_json().items()}


async def _answer(send: Send, status: int, said: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(said)})
