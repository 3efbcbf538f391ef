"""A worker's health for whoever watches over it: Kubernetes, a load balancer, a person with curl.

``GET /healthz``: does it live? ``GET /readyz``: does it work? Both say the same JSON, with 200 or 503. They tell no
content, so other addresses than loopback need no token. ``GET /metrics``, for Prometheus, does where there is one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from laneway.dispatch.heart import STUCK_AFTER_S
from laneway.errors import UsageError
from laneway.server.listening import listen, origin

Metrics = Callable[[str, str], Awaitable[tuple[int, str, bytes]]]  # Authorization, address → status, type, text
HINT = "write --health 8081 or --health 0.0.0.0:8081 (port 0: any free one)"


@dataclass(frozen=True, slots=True)
class Health:
    """One process, or several. ``lease_s``: how long its lease still holds, by the last heartbeat that the store
    took."""

    draining: bool
    lease_s: float
    heartbeat_age_s: float
    tick_age_s: float
    in_flight: int

    @property
    def lives(self) -> bool:
        """Its event loop moves. A store that is away is no reason to kill a worker: it may hold paid answers."""
        return self.tick_age_s < STUCK_AFTER_S

    @property
    def works(self) -> bool:
        return self.lives and self.lease_s > 0 and not self.draining

    def as_json(self) -> dict[str, Any]:
        said = "stuck" if not self.lives else "draining" if self.draining else "ok" if self.works else "no store"
        facts = {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return {"status": said, **facts}


STARTING = {"status": "starting"}


def together(healths: Sequence[Health]) -> Health | None:
    """As well as the worst of them."""
    if not healths:
        return None
    return Health(
        any(health.draining for health in healths),
        min(health.lease_s for health in healths),
        max(health.heartbeat_age_s for health in healths),
        max(health.tick_age_s for health in healths),
        sum(health.in_flight for health in healths),
    )


def address(option: str) -> tuple[str, int]:
    """``PORT`` (on loopback) or ``HOST:PORT``. Raises UsageError for anything else."""
    host, _, port = option.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535 or (":" in option and not host):
        raise UsageError(f"--health {option!r} is no address", hint=HINT)
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


@asynccontextmanager
async def health_endpoint(
    place: tuple[str, int], look: Callable[[], Health | None], metrics: Metrics | None = None
) -> AsyncIterator[str]:
    """Answer for the length of the block; its URL. Raises UsageError when the address cannot be used."""
    from aiohttp import web

    async def healthz(_: web.Request) -> web.Response:
        health = look()
        return answer(health, fine=health is None or health.lives)

    async def readyz(_: web.Request) -> web.Response:
        health = look()
        return answer(health, fine=health is not None and health.works)

    async def scraped(request: web.Request) -> web.Response:
        if metrics is None:
            return web.Response(status=404, text="metrics need: pip install 'laneway[serve]'\n")
        status, kind, text = await metrics(request.headers.get("Authorization", ""), request.remote or "")
        return web.Response(status=status, body=text, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    def answer(health: Health | None, *, fine: bool) -> web.Response:
        said = STARTING if health is None else health.as_json()
        return web.json_response(said, status=200 if fine else 503, headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", scraped)
    listener = listen(*place, HINT)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        yield origin(listener, place[0])
    finally:
        await runner.cleanup()
        listener.close()
