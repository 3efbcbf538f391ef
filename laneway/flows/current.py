"""The flow whose code is running: what tasks that are called there ask first."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.flows.live import Live

CURRENT: ContextVar[Live | None] = ContextVar("laneway_flow", default=None)


def current(what: str) -> Live:
    """Raises UsageError outside of a flow."""
    if (live := CURRENT.get()) is None:
        raise UsageError(
            f"{what} was used outside a flow", hint="call it inside a function decorated with @lw.flow, and submit that"
        )
    return live
