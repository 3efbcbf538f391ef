"""What Prometheus scrapes, of the server and of ``laneway worker --health``.

Two kinds. What the store counts (queue, workers, accounts, what ended, tokens, cost) is the whole fleet's, and every
process says the same of it: take the highest of several, not their sum. What this process does (HTTP requests,
``laneway_process_…``) is its own. Nothing here reads rows of tasks, and no label has a value without bound: names that
clients choose are kept up to ``MOST_NAMES``, the others are ``other``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric

from laneway.errors import StoreError
from laneway.server.envelopes import Refusal
from laneway.server.fleet_metrics import FleetMetrics
from laneway.server.health import Health, Metrics
from laneway.server.tokens.keyring import Keyring
from laneway.version import VERSION

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

KEPT_S = 1.0
PLAIN = "text/plain; charset=utf-8"


class Exposition:
    """The text that is scraped. ``registry``: what this process counts itself; ``look``: how it stands."""

    def __init__(
        self, lw: Laneway, look: Callable[[], Health | None], registry: CollectorRegistry | None = None
    ) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._fleet = FleetMetrics(lw)
        self._look = look
        self._reading = asyncio.Lock()
        self._text = b""
        self._read_at = float("-inf")

    async def text(self) -> bytes:
        """Of this second. Raises StoreError."""
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if now - self._read_at >= KEPT_S:
                fleet = await self._fleet.read()
                own = [*self.registry.collect(), *process_metrics(self._look())]
                self._text = generate_latest(Families([*fleet, *own]))
                self._read_at = now
        return self._text


def for_worker(lw: Laneway, look: Callable[[], Health | None]) -> Metrics:
    """Of a process without a server. Who may read them is as there."""
    exposition, keyring = Exposition(lw, look), Keyring(lw, lw.env.get("LANEWAY_TOKEN", "").strip() or None)

    async def answer(authorization: str, address: str) -> tuple[int, str, bytes]:
        try:
            caller = await keyring.admit(authorization.removeprefix("Bearer ").strip(), "", address)
            if not caller.sees_all:
                raise of_all_teams()
            return 200, CONTENT_TYPE_LATEST, await exposition.text()
        except Refusal as refusal:
            return refusal.status, PLAIN, f"{refusal.message}\n".encode()
        except StoreError as error:
            return 503, PLAIN, f"{error.message}\n".encode()

    return answer


def of_all_teams() -> Refusal:
    return Refusal(403, "metrics tell of all teams: this needs an operator's token of no team", code="role")


class Families(CollectorRegistry):
    """Families that are there already, as prometheus_client wants them."""

    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def process_metrics(health: Health | None) -> list[Metric]:
    build = InfoMetricFamily("laneway_build", "This process's version.", value={"version": VERSION})
    if health is None:
        return [build]
    facts: dict[str, tuple[str, float]] = {
        "in_flight": ("Calls and own functions that this process carries out.", health.in_flight),
        "draining": ("1 while it takes nothing new.", health.draining),
        "lease_seconds": ("How long its worker's lease still holds.", health.lease_s),
        "heartbeat_age_seconds": ("Since the last heartbeat that the store took.", health.heartbeat_age_s),
        "tick_age_seconds": ("Since its event loop moved last.", health.tick_age_s),
    }
    return [
        build,
        *(GaugeMetricFamily(f"laneway_process_{name}", said, value) for name, (said, value) in facts.items()),
    ]
