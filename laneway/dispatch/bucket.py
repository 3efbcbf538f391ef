"""One limit as a bucket that refills evenly: what may be sent now, by all that is known of what was sent.

A provider charges a call when it arrives, while its real size is known only at its end. So the bucket remembers what
passed since the oldest call whose size is still open, and reckons again from there when one becomes known, as if it had
been known at once. Simply giving an over-estimate back would not do: a bucket that was full meanwhile gained nothing.

The provider's bucket is never seen, but its headers say what was left in it at some moment of a call. ``shown`` uses
that as exactly as it is known: what was sent and what refilled since then is on our own books.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

BURST_S = 0.5  # seconds of a rate that our bucket holds
LEAST_S = 1.0  # that every provider's holds: they judge over 1 to 10 s
JITTER_S = 0.02  # by which one call may be longer on its way than the next
LONGEST = 2000  # calls that are reckoned again, or looked back upon; of older ones what is known now stays
ENOUGH = 1e-9  # of an amount, for the sake of rounding


@dataclass(slots=True, eq=False)
class Passed:
    """A call that a bucket let pass."""

    number: int  # in the order of passing
    at: float
    amount: float
    extra: float  # charged for being late, whatever the call uses
    known: bool = False  # the amount is the real one


class _State(NamedTuple):
    level: float
    lent: float
    at: float


class Bucket:
    """``level`` may be sent now; below 0 it is a debt. Of it, ``lent`` is above what our own pace would give, since
    headers showed that the provider's bucket holds it. ``capacity``: half a second's worth, never less than 1."""

    def __init__(self, rate: float, now: float, *, capacity: float | None = None) -> None:
        """``rate``: a second. Full at first. ``capacity``: a fixed one, for a limit that need not be paced."""
        self.rate = rate
        self._fixed = capacity is not None
        self.capacity = capacity if capacity is not None else max(1.0, rate * BURST_S)
        self._now = self._base = _State(self.capacity, 0.0, now)
        self._passed: deque[Passed] = deque()  # since ``_base``
        self._stale = False  # an amount in ``_passed`` has changed
        self._flow = 0.0  # all that refilled, full or not, less all that was sent
        self._peaks = _Extremes(1.0)  # of the flow, just before a call passed
        self._troughs = _Extremes(-1.0)  # just after it

    @property
    def reserve(self) -> float:
        """How much more than ours the provider's bucket holds at least."""
        return 0.0 if self._fixed else max(1.0, self.rate * LEAST_S) - self.capacity

    def level(self, now: float) -> float:
        self._advance(now)
        return self._now.level

    def free_at(self, amount: float, now: float, doubt: float = 0.0) -> float:
        """When ``amount`` may be taken: now, or later. More than the bucket holds goes when the provider's is full.
        ``doubt``: how much more than estimated the calls in flight may turn out to use."""
        self._advance(now)
        level, lent, _ = self._now
        if amount > self.capacity and amount + doubt > level:
            missing = self.capacity - (level - lent)
        else:
            held = max(0.0, doubt - max(0.0, self.reserve - lent))
            missing = max(amount, min(amount + held, self.capacity)) - level
        return now if missing <= ENOUGH * max(1.0, self.capacity) else now + missing / self.rate

    def take(self, amount: float, number: int, now: float, *, known: bool = False) -> Passed:
        """Let a call pass. One that needs all of the provider's bucket pays for the jitter, or the next one of its kind
        would arrive a moment before it is full again."""
        self._advance(now)
        late = self.rate * JITTER_S
        tight = not self._fixed and self._now.lent <= 0.0 and amount + late > max(1.0, self.rate * LEAST_S)
        passed = Passed(number, now, amount, late if tight else 0.0, known)
        self._peaks.add(number, self._flow)
        self._flow -= amount
        self._troughs.add(number, self._flow)
        self._now = self._now._replace(level=self._now.level - amount - passed.extra)
        self._passed.append(passed)
        self._fold()
        return passed

    def correct(self, passed: Passed, amount: float, now: float, *, known: bool = True) -> None:
        """A call turns out to take another amount than thought."""
        self._advance(now)
        back, passed.amount, passed.known = passed.amount - amount, amount, known
        if self._passed and self._passed[0].number <= passed.number:
            self._stale = self._stale or back != 0.0
        elif back:
            level = self._now.level
            self._set(max(level, min(self.capacity, level + back)) if back > 0 else level + back, self._now.lent)
        self._fold()

    def shown(
        self, remaining: float, slack: float, number: int, now: float, *, pending: float, margin: float, trust: bool
    ) -> None:
        """``remaining`` was there at an unknown moment between the passing of call ``number`` and now, read with an
        error of ``slack``. ``pending``: what was sent, and may not have been counted. All doubt goes against a change;
        what is more than we thought is used but for ``margin``, and only with ``trust``."""
        self._advance(now)
        level, lent, _ = self._now
        least = remaining - slack - pending + self._flow - max(self._flow, self._peaks.after(number))
        most = remaining + slack + self._flow - min(self._flow, self._troughs.after(number - 1))
        if most < level:
            self._set(most, most - min(level - lent, most - self.reserve))
        elif trust and least - margin > level:
            self._set(least - margin, lent + least - margin - level)

    def empty(self, now: float) -> None:
        """The provider's bucket has nothing."""
        self._advance(now)
        self._set(min(self._now.level, -self.reserve), 0.0)

    def set_rate(self, rate: float, now: float, *, capacity: float | None = None) -> None:
        self._advance(now)
        own = self._now.level - self._now.lent
        full = self.capacity
        self.rate = rate
        if self._fixed:
            self.capacity = capacity if capacity is not None else self.capacity
            own += self.capacity - full
        else:
            self.capacity = max(1.0, rate * BURST_S)
        own = min(own, self.capacity)
        self._set(own + self._now.lent, self._now.lent)

    def go_on(self, level: float, now: float) -> None:
        """From a level that was kept."""
        self._advance(now)
        self._set(min(level, self.capacity), 0.0)

    def _set(self, level: float, lent: float) -> None:
        """A new beginning: what passed before is not reckoned again."""
        self._now = self._base = _State(level, max(0.0, lent), self._now.at)
        self._passed.clear()
        self._stale = False

    def _advance(self, now: float) -> None:
        if self._stale:
            state = self._base
            for passed in self._passed:
                state = self._after(state, passed)
            self._now = self._grown(state, self._now.at)
            self._stale = False
        if now > self._now.at:
            self._flow += self.rate * (now - self._now.at)
            self._now = self._grown(self._now, now)

    def _grown(self, state: _State, now: float) -> _State:
        """What is lent is paid back by what no longer fits in."""
        gain = self.rate * max(0.0, now - state.at)
        level = max(state.level, min(self.capacity, state.level + gain))
        return _State(level, max(0.0, state.lent - (gain - (level - state.level))), max(now, state.at))

    def _after(self, state: _State, passed: Passed) -> _State:
        state = self._grown(state, passed.at)
        return state._replace(level=state.level - passed.amount - passed.extra)

    def _fold(self) -> None:
        while self._passed and (self._passed[0].known or len(self._passed) > LONGEST):
            self._base = self._after(self._base, self._passed.popleft())


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
