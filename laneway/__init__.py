"""Laneway: a triage desk and parallel engine for AI tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laneway.errors import (
    AuthError,
    BudgetError,
    ConfigError,
    ConflictError,
    InputError,
    LanewayError,
    LimitError,
    NotFoundError,
    NoWorker,
    ProviderError,
    ServerUnreachable,
    StoreError,
    TaskCancelled,
    TaskFailed,
    UsageError,
    WaitTimeout,
)
from laneway.version import VERSION

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.python.callbacks import Ended
    from laneway.client import AsyncClient, Client
    from laneway.flows import api as flow

__version__ = VERSION

__all__ = [
    "AsyncClient",
    "AuthError",
    "BudgetError",
    "Client",
    "ConfigError",
    "ConflictError",
    "Ended",
    "InputError",
    "Laneway",
    "LanewayError",
    "LimitError",
    "NoWorker",
    "NotFoundError",
    "ProviderError",
    "ServerUnreachable",
    "StoreError",
    "TaskCancelled",
    "TaskFailed",
    "UsageError",
    "WaitTimeout",
    "__version__",
    "flow",
]


def __getattr__(name: str) -> Any:
    """What takes its time is imported when it is first asked for, so that the command line starts quickly."""
    if name == "Laneway":
        from laneway.app.laneway import Laneway

        return Laneway
    if name in ("Client", "AsyncClient"):
        import laneway.client

        return getattr(laneway.client, name)
    if name == "flow":
        from laneway.flows import api

        return api
    if name == "Ended":
        from laneway.app.python.callbacks import Ended

        return Ended
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
