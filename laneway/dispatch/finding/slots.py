"""How many calls may be in flight at once, as far as it is found."""

from __future__ import annotations

import math

CLIMB_AFTER_S = (15.0, 45.0)  # how long a found limit is believed before a higher one is tried: at first, at most
CLIMB_CALLS = 150  # and not before so many calls went well: a refusal a minute is 1 % of a hundred calls
GENTLE, BRISK = 0.05, 0.7  # growth a second: beyond a limit that was found, far beyond it
FAR = 1.15
ABOUT = 0.9  # of a limit is as good as the same
DROP = 0.7  # to which part of what was refused one goes down to look for a limit that was lowered


class Slots:
    """``limit`` None: nobody has refused anything that this would explain.

    A refusal with n others in flight means a limit of n, if concurrency refused it at all. While that is in doubt, one
    call more than n settles it: let in, it was something else.
    """

    def __init__(self, now: float) -> None:
        self.limit: int | None = None
        self.sure = False
        self.seeking = False  # it was lowered, to nobody knows what
        self.slack = 0  # so many of those in flight may have ended without our knowing
        self.refused: int | None = None  # others in flight, of the last call that this limit refused
        self._ok = 0  # most in flight of a call that was let in, since the limit was last changed
        self._believed_s = CLIMB_AFTER_S[0]
        self._next_at = now  # when one more may be tried
        self._climb_from: int | None = None
        self._calls = 0
        self._doubt_s: float | None = None
        self._before = 0  # it was lowered
        self.cried_wolf = False  # it was lowered, and then found where it was: something else refuses there

    @property
    def doubtful(self) -> bool:
        """Whether it is only a guess: by this limit or by another."""
        return self.limit is not None and not self.sure and not self.seeking

    def explains(self, beside: int) -> bool:
        """Whether a refusal with so many others in flight can be this limit's."""
        return beside >= max(1, self._ok - self.slack)

    def expected(self, beside: int) -> bool:
        """Whether so many in flight were refused before."""
        return self.refused is not None and beside >= self.refused - self.slack

    def let_in(self, in_flight: int) -> bool:
        """Returns whether this shows that the limit is none, or not the one that was found."""
        self._ok = max(self._ok, in_flight)
        self._calls += 1
        return self.refused is not None and in_flight > self.refused + self.slack

    def one_more(self, now: float, pause: float) -> bool:
        """Whether the limit may be exceeded by one now, to see. ``pause``: seconds until an answer to that is here."""
        assert self.limit is not None
        if self._doubt_s is not None:  # a whole round at the limit first: what else refuses then shows
            self._next_at, self._doubt_s = now + self._doubt_s, None
        if now < self._next_at or (self._climb_from is None and self.sure and self._calls < CLIMB_CALLS):
            return False
        if self._climb_from is None:
            self._climb_from = self.limit
        gentle = self.sure and self.limit < FAR * self._climb_from
        self._next_at = now + max(pause, 1.0 / max(1.0, (GENTLE if gentle else BRISK) * self.limit))
        self.limit += 1
        return True

    def doubt(self, beside: int, wait: float, now: float) -> None:
        """It may have been this limit. After ``wait`` seconds at it one more is tried."""
        self._set(beside, now)
        self._doubt_s = wait
        self.refused, self.sure, self.seeking = beside, False, False

    def found(self, beside: int, now: float) -> bool:
        """It was this limit. Returns whether that is news."""
        grown = self._climb_from is not None and beside > FAR * self._climb_from
        first, last = CLIMB_AFTER_S
        self._believed_s = min(last, self._believed_s * 2) if self.sure and not grown else first
        news = not self.sure or self.refused != beside
        self._set(beside, now + self._believed_s)
        self.refused, self.sure, self.seeking = beside, True, False
        return news

    def lowered(self, beside: int, now: float) -> None:
        """What was fine is refused now: go down until something is let in, then up again."""
        if not self.seeking:
            self._before = self.limit or beside
        self._ok = 0
        self._set(math.floor(beside * DROP), now)
        self.refused, self.sure, self.seeking = beside, False, True

    def sought(self, beside: int, now: float) -> bool:
        """Refused again while it is looked for: still too many, or it is found. Returns whether it is."""
        if self._ok:
            self.cried_wolf = beside >= ABOUT * self._before
            return self.found(beside, now)
        self.lowered(beside, now)
        return False

    def as_before(self, now: float) -> None:
        """More is let in than was refused: it was not lowered at all."""
        self.found(self._before, now)
        self.cried_wolf = True

    def cut(self, beside: int) -> None:
        """A further refusal of the same moment."""
        if self.limit is not None and self.explains(beside) and beside < self.limit:
            self.limit = self.refused = max(1, beside)

    def cleared(self) -> None:
        """It was another limit."""
        self.limit = self.refused = self._climb_from = None
        self.sure = self.seeking = False

    def forget(self) -> None:
        """What was let in before says nothing any more."""
        self._ok = 0

    def scale(self, factor: float) -> None:
        """This worker's part of the account has changed."""
        if self.limit is not None:
            self.limit = max(1, math.floor(self.limit * factor + 1e-6))
            self.refused = None if self.refused is None else max(1, math.floor(self.refused * factor + 1e-6))
            self._climb_from = None
        self._ok = math.floor(self._ok * factor)

    def resume(self, limit: int, now: float) -> None:
        """Go on with what was found earlier."""
        self.found(limit, now)
        self._calls = CLIMB_CALLS

    def _set(self, limit: int, next_at: float) -> None:
        self.limit = max(1, limit)
        self._next_at = next_at
        self._climb_from = self._doubt_s = None
        self._calls = 0
