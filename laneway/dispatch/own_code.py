"""Tasks that run the app's own code: Python tasks and flows. They need no account, but are not begun without bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from laneway.dispatch.desk import FLOWS_OPEN, Blocked
from laneway.store.cells import Head
from laneway.store.interface import Store
from laneway.task import NEW_FLOW, is_flow

PYTHON_IN_FLIGHT = 256  # two looks at a deep cell: while one half runs, the other is written


class OwnCode:
    def __init__(self, store: Store, has_app: Callable[[], bool], open_flows: int) -> None:
        """``open_flows``: how many may have begun and not ended, in the whole fleet."""
        self._store = store
        self._has_app = has_app
        self._most_flows = open_flows
        self._new_flows = 0  # that may begin in this round
        self._free = PYTHON_IN_FLIGHT

    async def look(self, heads: Iterable[Head]) -> None:
        """Before each round."""
        if any(head.model == NEW_FLOW for head in heads):
            self._new_flows = self._most_flows - await self._store.open_flows()

    def begin_round(self, in_flight: int) -> None:
        """``in_flight``: Python tasks."""
        self._free = PYTHON_IN_FLIGHT - in_flight

    def admit(self, model: str, *, leased: bool) -> Blocked | None:
        """A start, or why there is none. ``leased``: others do not take this worker for dead."""
        if not self._has_app():
            return Blocked(None, "no_app")  # another process has the functions
        if not leased:
            return Blocked(None, "lease")
        if is_flow(model):
            self._new_flows -= model == NEW_FLOW
            return Blocked(None, FLOWS_OPEN) if model == NEW_FLOW and self._new_flows < 0 else None
        self._free -= 1
        return Blocked(None, "python_slots") if self._free < 0 else None
