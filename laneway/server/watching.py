"""Every request as operators see it: counted and timed by its route, and logged where that is wanted."""

from __future__ import annotations

import logging
import time
from collections.abc import MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from laneway.server.caller import KNOWN_AS, Caller
from laneway.server.probes import App, Duty, Receive, Scope, Send

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
UNKNOWN = "unknown"  # the route of what is not served here: paths are chosen by whoever asks
BROKEN_OFF = 499  # where nobody was answered

log = logging.getLogger("laneway.access")


class HttpMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "laneway_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "laneway_http_request_duration_seconds",
            "From a request's head to the last byte of its answer.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.open = Gauge("laneway_http_requests_in_progress", "Requests being answered.", registry=registry)


class Watch:
    """Around the application. Probes are not counted: they stand before it."""

    def __init__(self, app: App, metrics: HttpMetrics, duty: Duty, *, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._duty = duty
        self._access_log = access_log
        if access_log:
            log.setLevel(logging.INFO)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._duty.draining:  # the client makes its next connection to whoever follows us
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        self._metrics.open.inc()
        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.open.dec()
            self._note(scope, status or BROKEN_OFF, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = route_of(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        if self._access_log:
            caller = scope.get(KNOWN_AS)
            log.info(
                "%s %s %d",
                method,
                scope["path"],
                status,
                extra={
                    "fields": {
                        "method": method,
                        "path": scope["path"],
                        "route": route,
                        "status": status,
                        "seconds": round(seconds, 4),
                        "client": (scope.get("client") or ("",))[0],
                        "caller": caller.name if isinstance(caller, Caller) else None,
                    }
                },
            )


def route_of(scope: Scope) -> str:
    """The template of the route that answered (``/v1/batches/{id}``), never the path that was asked for."""
    path = getattr(scope.get("route"), "path", None)
    return f"{scope.get('root_path', '')}{path}" if isinstance(path, str) else UNKNOWN
