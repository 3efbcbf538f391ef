"""What a bucket holds, reckoned from a moment at which it was known, by all that passed since.

A provider charges a call when it arrives, while its real size is known only at its end. So the calls since the oldest
whose size is still open are remembered, and reckoned again when one becomes known, as if it had been known at once.
Simply giving an over-estimate back would not do: a bucket that was full meanwhile gained nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

LONGEST = 2000  # calls that are reckoned again, or looked back upon; of older ones what is known now stays


@dataclass(slots=True, eq=False)
class Passed:
    """A call that a bucket let pass."""

    number: int  # in the order of passing
    at: float
    amount: float
    extra: float  # charged for being late, whatever the call uses
    known: bool = False  # the amount is the real one


class Reckoning:
    """``level`` at ``at``. It fills evenly up to a capacity, and keeps what it had beyond."""

    __slots__ = ("_base", "_least", "_most", "_passed", "_stale", "_until", "at", "counted", "level")

    def __init__(
        self,
        level: float,
        at: float,
        counted: int = -1,
        passed: Iterable[Passed] = (),
        *,
        least: float = -inf,
        most: float = inf,
        until: float = -inf,
    ) -> None:
        """``counted``: the number of the last call that the level holds already, as it really was. ``passed``: since
        then. A level that was read at an unknown moment between ``at`` and ``until`` is the most, or else the least,
        that there was until then: so it is right wherever in between the moment was."""
        self.level, self.at = level, at
        self.counted = counted
        self._base = level, at
        self._passed = deque(passed)
        self._least, self._most, self._until = least, most, until
        self._stale = bool(self._passed)

    def advance(self, now: float, rate: float, capacity: float) -> None:
        if self._stale:
            self._again(rate, capacity)
        if now > self.at:
            self.level, self.at = self._grown(self.level, self.at, now, rate, capacity), now

    def _again(self, rate: float, capacity: float) -> None:
        """A thousand calls in flight are gone through for each that ends: what is known stays simple here."""
        self._stale = False
        self._fold(rate, capacity)
        level, at = self._base
        for passed in self._passed:
            if at < self._until:
                level = self._after(passed, level, at, rate, capacity)
            else:
                full = level + rate * (passed.at - at)
                if full > capacity:
                    full = capacity if level < capacity else level
                level = full - passed.amount - passed.extra
            at = passed.at
        last = max(at, self.at)
        self.level, self.at = self._grown(level, at, last, rate, capacity), last

    def take(self, passed: Passed, rate: float, capacity: float) -> None:
        self.level = self._after(passed, self.level, self.at, rate, capacity)
        self.at = passed.at
        self._passed.append(passed)
        self._fold(rate, capacity)

    def correct(self, passed: Passed, back: float, capacity: float) -> None:
        """A call took so much less than was taken for it. Of what a reading has counted, nothing is to be corrected."""
        if passed.number <= self.counted or not back:
            return
        if not self._passed or passed.number < self._passed[0].number:
            level, at = self._base
            self._base = (max(level, min(capacity, level + back)) if back > 0 else level + back), at
        self._stale = True

    def _grown(self, level: float, at: float, now: float, rate: float, capacity: float) -> float:
        if at < self._until:
            then = min(now, self._until)
            level, at = max(self._least, min(self._most, level + rate * (then - at))), then
        return max(level, min(capacity, level + rate * (now - at)))

    def _after(self, passed: Passed, level: float, at: float, rate: float, capacity: float) -> float:
        level = self._grown(level, at, passed.at, rate, capacity) - passed.amount - passed.extra
        return max(level, self._least) if passed.at < self._until else level

    def _fold(self, rate: float, capacity: float) -> None:
        """Forget what is known, and therefore settled."""
        while self._passed and (self._passed[0].known or len(self._passed) > LONGEST):
            first = self._passed.popleft()
            self._base = self._after(first, *self._base, rate, capacity), first.at
