"""The clock that everything is given. Times are seconds since 1970 (UTC) as float; durations are seconds."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch; never runs backwards within a process."""
        ...


class SystemClock:
    """Wall time at the start, carried on by the monotonic clock: a corrected wall clock cannot move a lease."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()

    def go_by(self, now: float) -> None:
        """Another clock, which several machines go by, says that it is now this time. Before the first use only."""
        self._offset = now - time.monotonic()


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        self._now += seconds
        return self._now
