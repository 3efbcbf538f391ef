"""Simulated time: an event loop that never waits. Hours pass in milliseconds, in the same order every time."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
EPOCH = 1_700_000_000.0
STUCK_AFTER_S = 60.0  # of CPU: nothing that ends takes so long


class _Selector(selectors.SelectSelector):
    """Instead of waiting, moves the loop's clock to where the wait would have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self._stuck_at = time.process_time() + STUCK_AFTER_S

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits for something that will never happen")
            if time.process_time() > self._stuck_at:
                raise RuntimeError(f"{self.time:,.0f} simulated seconds have passed, and it does not end")
            self.time += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.time


class VirtualClock:
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return EPOCH + self._loop.time()


def run_virtual(make: Any) -> Any:
    """Run ``make(clock)``'s coroutine in simulated time."""
    loop = VirtualLoop()
    try:
        work: Coroutine[Any, Any, Any] = make(VirtualClock(loop))
        return loop.run_until_complete(work)
    finally:
        loop.close()
