"""One limit as a bucket that refills evenly: what may be sent now, by all that is known of what was sent.

The provider's bucket is never seen, but its headers say what was left in it at some moment of a call. ``shown`` uses
that as exactly as it is known: what was sent and what refilled since then is on our own books.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from itertools import takewhile
from math import inf

from laneway.dispatch.reckoning import LONGEST, Passed, Reckoning

BURST_S = 0.5  # seconds of a rate that our bucket holds
LEAST_S = 1.0  # that every provider's holds: they judge over 1 to 10 s
PLENTY = 0.1  # of our bucket: where that much is there, headers that show so little more change nothing
JITTER_S = 0.02  # by which one call may be longer on its way than the next
ENOUGH = 1e-9  # of an amount, for the sake of rounding


class Bucket:
    """Of the provider's bucket is known, by our own pace, that it holds ``reserve`` more than ``_paced``; by its
    headers, that it holds ``_seen``, and no more than ``_bound``. ``level``: what may be sent, below 0 a debt.
    ``capacity``: of what our own pace gives, half a second's worth, never less than 1."""

    def __init__(self, rate: float, now: float, *, capacity: float | None = None) -> None:
        """``rate``: a second. Full at first. ``capacity``: a fixed one, for a limit that need not be paced."""
        self.rate = rate
        self._fixed = capacity is not None
        self.capacity = capacity if capacity is not None else max(1.0, rate * BURST_S)
        self._at = now
        self._paced = Reckoning(self.capacity, now)
        self._seen = Reckoning(self.capacity, now)
        self._bound = Reckoning(inf, now)
        self._recent: deque[Passed] = deque(maxlen=LONGEST)
        self._flow_least = 0.0  # all that refilled, full or not, less all that was sent; where a size was corrected …
        self._flow_most = 0.0  # … only downwards, only upwards: so no difference of two moments is too large, too small
        self._peaks = _Extremes(1.0)  # of the former, just before a call passed
        self._troughs = _Extremes(-1.0)  # of the latter, just after it

    @property
    def reserve(self) -> float:
        """How much more than ours the provider's bucket holds at least."""
        return 0.0 if self._fixed else max(1.0, self.rate * LEAST_S) - self.capacity

    def level(self, now: float) -> float:
        self._advance(now)
        return min(max(self._paced.level, self._seen.level), self._bound.level)

    def free_at(self, amount: float, now: float, doubt: float = 0.0) -> float:
        """When ``amount`` may be taken: now, or later. More than the bucket holds goes when the provider's is full.
        ``doubt``: how much more than estimated the calls in flight may turn out to use."""
        level = self.level(now)
        holds = min(self._paced.level + self.reserve, self._bound.level)  # the provider's
        if amount > self.capacity and amount + doubt > level:
            missing = self.capacity + self.reserve - holds
        else:
            held = max(0.0, doubt - max(0.0, holds - level))
            missing = max(amount, min(amount + held, self.capacity)) - level
        return now if missing <= ENOUGH * max(1.0, self.capacity) else now + missing / self.rate

    def take(self, amount: float, number: int, now: float, *, known: bool = False) -> Passed:
        """Let a call pass. One that needs all of the provider's bucket pays for the jitter, or the next one of its kind
        would arrive a moment before it is full again."""
        late = self.rate * JITTER_S
        tight = not self._fixed and amount + late > max(self.level(now), 1.0, self.rate * LEAST_S)
        passed = Passed(number, now, amount, late if tight else 0.0, known)
        self._advance(now)
        self._peaks.add(number, self._flow_least)
        self._flow_least -= amount
        self._flow_most -= amount
        self._troughs.add(number, self._flow_most)
        self._recent.append(passed)
        self._paced.take(passed, self.rate, self.capacity)
        self._seen.take(passed, self.rate, self.capacity)
        self._bound.take(passed, self.rate, inf)
        return passed

    def correct(self, passed: Passed, amount: float, now: float, *, known: bool = True) -> None:
        """A call turns out to take another amount than thought."""
        self._advance(now)
        back, passed.amount, passed.known = passed.amount - amount, amount, known
        self._flow_least += min(0.0, back)
        self._flow_most += max(0.0, back)
        self._paced.correct(passed, back, self.capacity)
        self._seen.correct(passed, back, self.capacity)
        self._bound.correct(passed, back, inf)

    def shown(
        self,
        remaining: float,
        slack: float,
        number: int,
        now: float,
        *,
        margin: float,
        trust: bool,
        pending: float | None = None,
    ) -> None:
        """``remaining`` was there at an unknown moment between the passing of call ``number`` and now, read with an
        error of ``slack``. All doubt goes against a change; what is more than we thought is used but for ``margin``,
        and only with ``trust``. ``pending``: what the calls in flight take, where it need not have been counted yet."""
        self._advance(now)
        low, high = remaining - slack - margin, remaining + slack
        least = low - (pending or 0.0) + self._flow_least - max(self._flow_least, self._peaks.after(number))
        most = high + self._flow_most - min(self._flow_most, self._troughs.after(number - 1))
        if trust and remaining > 0 and self._recent and self._recent[0].number <= number:  # 0 may be a debt
            plenty, late = PLENTY * self.capacity, pending is not None
            if least > self._seen.level + (plenty if self._seen.level >= self.capacity else 0.0):
                self._seen = self._holding(low, least, number, now, late=late)
            own, rest = min(self.capacity, low - self.reserve), min(self.capacity, least - self.reserve)
            if rest > self._paced.level + plenty:  # else a large call would wait until all that was lent is paid back
                self._paced = self._holding(own, rest, number, now, late=late)
        if most < self._seen.level:
            self._seen = self._read(number, high, now, least=high)
        believed = max(self._seen.level, self._paced.level + self.reserve)
        if self._bound.level < least or min(self._bound.level, believed) > most:
            self._bound = self._read(number, high, now, least=high)
        self._advance(now)

    def empty(self, now: float) -> None:
        """The provider's bucket has nothing."""
        level = min(self.level(now), -self.reserve)
        counted = self._recent[-1].number if self._recent else -1
        self._paced, self._seen = Reckoning(level, now, counted), Reckoning(level, now, counted)

    def drain(self, now: float) -> None:
        """What may be sent goes to somebody else; a debt stays."""
        self._advance(now)
        self._paced = Reckoning(min(self._paced.level, 0.0), now, self._paced.counted)
        self._seen = Reckoning(min(self._seen.level, 0.0), now, self._seen.counted)

    def set_rate(self, rate: float, now: float, *, capacity: float | None = None) -> None:
        self._advance(now)
        full, self.rate = self.capacity, rate
        if not self._fixed:
            self.capacity = max(1.0, rate * BURST_S)
        elif capacity is not None:
            self.capacity = capacity
        more = self.capacity - full
        self._paced = self._changed(self._paced, more, now)
        self._seen = self._changed(self._seen, more, now)
        self._bound = Reckoning(inf, now)

    def _changed(self, one: Reckoning, more: float, now: float) -> Reckoning:
        """With another rate. What was used of a fixed capacity stays used; else a smaller one is as full as it was."""
        level = one.level + more if self._fixed else min(one.level, one.level * self.capacity / (self.capacity - more))
        return Reckoning(level, now, one.counted)

    def go_on(self, level: float, now: float) -> None:
        """From a level that was kept."""
        self._advance(now)
        level = min(level, self.capacity)
        self._paced, self._seen = Reckoning(level, now), Reckoning(level, now)

    def _holding(self, read: float, least: float, number: int, now: float, *, late: bool) -> Reckoning:
        """So much was there at least, by a reading; counted late, nothing more is known than what is left for now."""
        return Reckoning(least, now) if late else self._read(number, read, now, most=read)

    def _read(self, number: int, level: float, now: float, *, least: float = -inf, most: float = inf) -> Reckoning:
        """From a reading that came with the reply to this call."""
        since = list(takewhile(lambda passed: passed.number >= number, reversed(self._recent)))
        began = since.pop().at if since else now
        return Reckoning(level, began, number, reversed(since), least=least, most=most, until=now)

    def _advance(self, now: float) -> None:
        if now > self._at:
            gain = self.rate * (now - self._at)
            self._flow_least += gain
            self._flow_most += gain
            self._at = now
        self._paced.advance(self._at, self.rate, self.capacity)
        self._seen.advance(self._at, self.rate, self.capacity)
        self._bound.advance(self._at, self.rate, inf)


class _Extremes:
    """The greatest (``sign`` 1) or least (-1) of the values from any number on."""

    __slots__ = ("_numbers", "_sign", "_values")

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._numbers: list[int] = []
        self._values: list[float] = []  # only those that nothing later exceeds

    def add(self, number: int, value: float) -> None:
        while self._values and self._values[-1] <= self._sign * value:
            self._values.pop()
            self._numbers.pop()
        self._numbers.append(number)
        self._values.append(self._sign * value)
        if len(self._numbers) > 2 * LONGEST:
            del self._numbers[:LONGEST], self._values[:LONGEST]

    def after(self, number: int) -> float:
        """Of those after ``number``; without any, what changes nothing."""
        at = bisect_left(self._numbers, number + 1)
        return self._sign * (self._values[at] if at < len(self._values) else float("-inf"))
