"""A provider that is down is not asked again by everybody: tasks wait, one call at a time looks whether it is back.

A failure that looks like an outage may be one, or this call's own. The next calls tell: so such a failure is a doubt
first, and judged when more is known. An answer to a call that started after it says that the provider was there; one
that started before says nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TRIP_AFTER = 5  # outages in a row
SILENT_S = 2.0  # without any answer, where no connection came about
LONGEST_DOUBT_S = 15.0  # while calls that started later are under way
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 4.0
PAUSE_SHARE = 0.03  # of the time it has been down: looking that seldom costs a thirtieth of the outage at its end
PROBE_PATIENCE_S = 4.0  # a probe that hangs for longer (or for three usual latencies) holds up the next no more
RAMP_S = 2.0  # at most, until all slots are in use again
KEPT_S = 600.0  # how long a saved state says something


@dataclass(slots=True)
class Doubt:
    """An outage-like failure. ``innocent``: the provider was to blame, not the call; None: not known yet."""

    after: int  # calls admitted by then
    until: float  # when waiting for more is over …
    latest: float  # … and when it is although later calls are under way
    reached: bool  # the request got there, and may have been what broke
    innocent: bool | None = None
    sure: bool = False  # more than one task's word says that the provider is down


@dataclass(frozen=True, slots=True)
class _Probe:
    started_at: float
    until: float  # it holds up the next one


class Breaker:
    """Closed → (five outages in a row, or silence) → open → (pause over) → one probe → closed, or open again."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._row = 0
        self._row_since = 0.0
        self._tasks: set[int] = set()  # of the row, at most two, without those that failed alone before
        self._unreached = False
        self._doubts: list[Doubt] = []
        self._open_until: float | None = None
        self._probes: dict[int, _Probe] = {}  # those under way
        self.open_since: float | None = None
        self.resumed_at: float | None = None  # when it closed
        self.answered_at: float | None = None
        self.failed_at: float | None = None

    @property
    def closed(self) -> bool:
        return self._open_until is None

    @property
    def sure(self) -> bool:
        """Whether the failures in a row can hardly be one task's own."""
        return self._unreached or len(self._tasks) > 1

    @property
    def probing(self) -> int:
        """How many looks are under way."""
        return len(self._probes)

    @property
    def next_probe(self) -> float | None:
        """When the next look is due, while it is open."""
        return (
            None
            if self._open_until is None
            else max(self._open_until, *(probe.until for probe in self._probes.values()), 0.0)
        )

    def free_at(self, now: float) -> float:
        """When the next call may start: now, or later."""
        at = self.next_probe
        return now if at is None else max(now, at)

    def ramp(self, usual: float | None, now: float) -> float:
        """Which part of the slots may be in use just after an outage, 0 to 1: calls come back at the rate at which they
        will go on, not all at once."""
        if self.resumed_at is None:
            return 1.0
        length = min(RAMP_S, usual or RAMP_S)
        part = (now - self.resumed_at) / length
        if part >= 1.0:
            self.resumed_at = None
            return 1.0
        return part

    def started(self, number: int, now: float, usual: float | None = None) -> None:
        """A call starts; while open it is a probe. ``usual``: seconds that an answer takes."""
        if self._open_until is not None:
            patience = max(PROBE_PATIENCE_S, 3 * (usual or 0.0)) * 2.0 ** len(self._probes)
            self._probes[number] = _Probe(now, now + patience)

    def unstarted(self, number: int) -> None:
        self._probes.pop(number, None)

    def answered(self, number: int, now: float) -> None:
        """The provider answered, whatever it said: it is there."""
        if self._open_until is not None:
            self.resumed_at = now
        self.answered_at = now
        self._row = 0
        self._tasks.clear()
        self._unreached = False
        self._open_until = self.open_since = None
        self._probes.clear()
        for doubt in self._doubts:
            if doubt.after < number:
                doubt.innocent = False
        self._clear()

    def failed(
        self, number: int, now: float, *, after: int, task: int | None = None, reached: bool = True, usual: float = 0.0
    ) -> Doubt:
        """A call found the provider down. ``after``: calls admitted by now; ``task``: whose, unless it failed by itself
        before; ``usual``: seconds that an answer takes."""
        if self._row == 0:
            self._row_since = now
        self._row += 1
        self.failed_at = now
        self._unreached = self._unreached or not reached
        if task is not None and len(self._tasks) < 2:
            self._tasks.add(task)
        latest = now + min(LONGEST_DOUBT_S, max(SILENT_S, 2 * usual))
        doubt = Doubt(after, now + SILENT_S, latest, reached)
        probe = self._probes.pop(number, None)
        self._doubts.append(doubt)
        if self._open_until is None:
            if self._row >= TRIP_AFTER:
                self._open(now)
        else:
            if probe is not None:
                self._pause(probe.started_at, now)
            self._acquit()
        return doubt

    def judge(self, now: float, newest: int | None, *, idle: bool = False) -> None:
        """Time has passed. ``newest``: the number of the latest call under way, None without any. ``idle``: nothing is
        under way anywhere, and nothing could be started: no more will be known by waiting."""
        if self._open_until is None and self._row and self._unreached and now - self._row_since >= SILENT_S:
            self._open(now)
        for doubt in self._doubts:
            more_to_come = newest is not None and newest > doubt.after and now < doubt.latest
            if idle or (now >= doubt.until and not more_to_come):
                doubt.innocent, doubt.sure = not doubt.reached, not doubt.reached
        self._clear()

    def heard(self, open_since: float, now: float) -> None:
        """Another worker, or an earlier one, found it down: look before calling."""
        if self._open_until is None:
            self._row = max(self._row, TRIP_AFTER)
            self._row_since = open_since
            self._unreached = True
            self._open(now)
            self.open_since = open_since
            self._open_until = now

    def look(self, now: float) -> None:
        """Another worker says that it is back: the next call may see for itself."""
        if self._open_until is not None:
            self._open_until = now
            self._probes.clear()

    def hear(self, state: Mapping[str, Any], now: float) -> None:
        """Another worker's state. Whoever called last knows best."""
        since, answered_at, failed_at = (_time(state.get(name)) for name in ("open_since", "answered_at", "failed_at"))
        if since is not None and (self.answered_at or 0.0) < (failed_at or since):
            self.heard(since, now)
        elif since is None and answered_at is not None and answered_at > (self.failed_at or now):
            self.look(now)

    def state(self) -> dict[str, Any]:
        return {
            "open_since": self.open_since,
            "next_probe": self.next_probe,
            "answered_at": self.answered_at,
            "failed_at": self.failed_at,
        }

    def restore(self, state: Mapping[str, Any], age: float, now: float) -> None:
        """Go on from what was known ``age`` seconds ago."""
        since = _time(state.get("open_since"))
        if since is not None and age <= KEPT_S:
            self.heard(since, now)

    def _open(self, now: float) -> None:
        self.open_since = now
        self.resumed_at = None
        self._pause(now, now)
        self._acquit()

    def _pause(self, since: float, now: float) -> None:
        assert self.open_since is not None, "it is open"
        pause = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, PAUSE_SHARE * (now - self.open_since)))
        self._open_until = since + pause * self._rng.uniform(0.8, 1.0)

    def _acquit(self) -> None:
        for doubt in self._doubts:
            doubt.innocent, doubt.sure = True, self.sure
        self._clear()

    def _clear(self) -> None:
        self._doubts = [doubt for doubt in self._doubts if doubt.innocent is None]


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
