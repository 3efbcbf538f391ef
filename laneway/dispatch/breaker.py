"""A provider that is down is not asked again by everybody: tasks wait, one call at a time looks whether it is back."""

from __future__ import annotations

import random

TRIP_AFTER = 5  # outages in a row
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 4.0


class Breaker:
    """Closed → (five outages in a row) → open → (pause over) → one probe → closed, or open again for longer."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._row = 0
        self._pause = FIRST_PAUSE_S
        self._open_until: float | None = None
        self._probing = False
        self.open_since: float | None = None

    @property
    def closed(self) -> bool:
        return self._open_until is None

    def free_at(self, now: float) -> float | None:
        """When the next call may start: now, later, or None while a probe is under way."""
        if self._open_until is None:
            return now
        if self._probing:
            return None
        return max(now, self._open_until)

    def started(self) -> bool:
        """A call starts; while open it is the probe. Returns whether it is."""
        self._probing = self._open_until is not None
        return self._probing

    def unstarted(self, *, probe: bool) -> None:
        self._probing = self._probing and not probe

    def answered(self) -> None:
        """The provider answered, whatever it said: it is there."""
        self._row = 0
        self._pause = FIRST_PAUSE_S
        self._open_until = self.open_since = None
        self._probing = False

    def failed(self, now: float, *, probe: bool = False) -> bool:
        """A call found the provider down. Returns whether the breaker is open now."""
        self._row += 1
        was_probe = probe and self._probing
        self._probing = self._probing and not probe
        if self._open_until is None and self._row < TRIP_AFTER:
            return False
        if self._open_until is None:
            self.open_since = now
        elif was_probe:
            self._pause = min(LONGEST_PAUSE_S, self._pause * 2)
        else:
            return True  # one of those in flight when it opened
        self._open_until = now + self._pause * self._rng.uniform(0.8, 1.0)
        return True
