"""The spacing of starts, and the rate that a provider permits, as far as it is found."""

from __future__ import annotations

import math
from collections import deque

from laneway.dispatch.finding.evidence import Evidence, Range, Start, together

START = 10.0  # a second, until the first answer
UNPACED = math.inf  # where an account states any other limit, nothing is held back before a refusal
FASTEST = 10_000.0  # a second, of those that are thought possible
FAST = 150.0  # a second; above it the pace grows more slowly, since more is under way when a refusal arrives
GROWTH, GROWTH_FAST = 0.7, 0.2  # a second, exponential: doubling in 1 s, in 3.5 s; up to
GROWTH_FIRST = 1.0  # before any refusal
MOST_GROWTH = 0.2  # with one start
QUIET_S, QUIET_CALLS = 8.0, 30  # without a refusal: then a search is over
QUICK, QUICK_FAST = 10.0, 6.0  # times as much, at most, where calls take less than a second
MOST = 2000.0  # a second
LOW, FAR_BELOW = 2.0, 40.0  # a search begins no lower than at so much a second, or such a part of the pace
SLOW_DOWN = 2.5  # the pace is divided by this when what was fine is refused
NARROW = 1.12  # a range of rates so wide counts as found
ABOVE = 1.05  # of the pace is the highest rate that may have refused something
CHANCY = 2  # refusals by chance: then what was found is doubtful
A_LITTLE, AT_LEAST = 0.99, 0.9  # slower after one refusal by chance, of the pace; of what was found
SLOWEST = 1 / 15  # a second
RECENT_S, FLOOR = 30.0, 0.1
USUAL_S = 60.0  # in which the usual is half forgotten
DOUBTFUL = 0.45  # of the usual: so little is hardly to be believed
DOUBT_S, DOUBT_CALLS = 4.0, 20
RECENT_CALLS = 10_000
SOON = 8  # calls between two refusals at a rate that was found: then it is not that rate any more
SAME = 1.03  # a rate within this factor is the same
UNDER, UNDER_MIDDLE = 0.98, 0.95  # of the lowest rate that is possible, at least of the middle
AFTER_S = (15.0, 45.0)  # how long a found rate is believed before more is tried: at first, at most
AT_LATEST_S = 60.0  # so much later more is tried, however few calls there were
RESUMED_S = 5.0  # the same for one that an earlier process found
AFTER_CALLS = 400  # and not before so many were let in: it costs a refusal
CLIMB, CLIMB_ON = 0.02, 0.1  # growth a second beyond a found rate; far beyond: the slower, the more a refusal tells
CLIMB_IN_WINDOWS = 0.002  # the same where a refusal costs the rest of a minute
LATE_S = 0.01  # of delay in starting that is made up for
LOOK_S = 0.2  # how often the evidence is weighed while it is not settled


class Pace:
    def __init__(self, now: float, start: float = START) -> None:
        self.pace = start
        self.rate: float | None = None  # found, a second
        self.next_at = now
        self.blamed = False  # it is certain that a rate refused something
        self._peak = start
        self._evidence = Evidence(full=True)
        self._possible: list[Range] = []
        self._searching = False
        self._refused_at = start  # the pace
        self._searched_at = now
        self._ramping = False  # through all that is possible, else in the middle of it
        self._before = start  # the pace when the search began
        self._last_at = now
        self._look_at = now
        self._believed_s = AFTER_S[0]
        self._usual, self._usual_at = 0.0, now  # let in a second, on average, at the best of times lately
        self._doubtful = False  # found, but hardly to be believed: more is tried soon
        self._recent: deque[float] = deque(maxlen=RECENT_CALLS)  # when calls were let in
        self._believed_until = now
        self._since = 0  # calls let in since the last refusal
        self._believed_calls = 0  # since what was found is believed
        self._by_chance = 0  # refusals without any reason, as it seems
        self._reweigh = False
        self.windowed = False  # the limit is counted anew from time to time
        self._climb_from: float | None = None

    @property
    def searching(self) -> bool:
        return self._searching

    @property
    def climbing(self) -> bool:
        """Beyond what was found, so that a refusal is no surprise."""
        return self._climb_from is not None

    @property
    def holding(self) -> bool:
        """At what was found."""
        return self.rate is not None and not self._searching and not self.climbing

    @property
    def perhaps_chance(self) -> bool:
        """Whether a refusal is a surprise; or, where such surprises were, whether it may be one more."""
        return self.holding or (self.climbing and self._by_chance >= CHANCY)

    @property
    def so_soon(self) -> bool:
        """Whether hardly anything was let in since the last refusal."""
        return self._since < SOON

    def started(self, now: float, *, held: bool, latency: float) -> Start:
        """``held``: the pace held this start back; only then does it grow, and not when the start comes late: then this
        process is what holds. ``latency``: of a call, s."""
        if held and now - self.next_at < max(LATE_S, 0.5 / self.pace):
            self._grow(now, max(1.0, 1.0 / max(latency, 1e-3)))
        self._peak = max(self._peak, self.pace)
        self.next_at = max(self.next_at, now - LATE_S) + 1.0 / self.pace
        self._last_at = now
        return self._evidence.add(now, open=True)

    def let_in(self, now: float) -> None:
        self._since += 1
        self._believed_calls += 1
        self._recent.append(now)
        while self._recent[0] < now - RECENT_S:
            self._recent.popleft()
        if self._recent[-1] - self._recent[0] > RECENT_S / 2:
            self._usual = max(len(self._recent) / RECENT_S, self._usual * 0.5 ** ((now - self._usual_at) / USUAL_S))
            self._usual_at = now

    def refused(self) -> None:
        self._since = 0

    def once_more(self) -> None:
        """A further refusal of the same moment: what was possible has to be weighed again."""
        self._reweigh = True

    def by_chance(self, start: Start) -> None:
        """One refusal at what was found, and no other near it."""
        self._evidence.drop(start)
        self._by_chance += 1
        if self.rate is not None and not self.climbing:
            self.pace = max(self.pace * A_LITTLE, self.rate * AT_LEAST)

    def reopened(self, rate: float, now: float) -> None:
        """For long nothing was let in, now something is: a limit that is counted anew from time to time. ``rate`` was
        let in on average, from one such moment to the next."""
        self._evidence.begin_anew()
        self._searching, self._possible = False, []
        self.blamed = self.windowed = True
        self.rate = self.pace = max(rate, SLOWEST)
        self.next_at = min(self.next_at, now + 1.0 / self.pace)
        self._believe(now, again=False)

    def keep_up(self, now: float) -> None:
        """Whatever was concluded: not far below what was let in lately, and never as good as nothing."""
        while self._recent and self._recent[0] < now - RECENT_S:
            self._recent.popleft()
        self.pace = max(self.pace, SLOWEST, FLOOR * len(self._recent) / RECENT_S)

    def says_nothing(self, start: Start) -> None:
        """It was not made, or another limit refused it."""
        self._evidence.drop(start)

    def explanations(self) -> list[Range]:
        """The rates that explain every refusal that is this limit's, the newest included."""
        return self._evidence.ranges(min(FASTEST, self._peak * 1.5), firm=self.rate is not None)

    def search(self, possible: list[Range]) -> None:
        """A refusal may be the rate's. Go on between those that are possible."""
        fresh = not self._searching
        if fresh:
            self._before = self.pace
        self._possible, self._searching, self._reweigh = possible, True, True
        self.pace = min(self.pace, FASTEST)
        self._since, self._climb_from = 0, None
        joined = together(possible)
        self._refused_at = self.pace
        self._searched_at = self._last_at
        low, high = self._span(joined)
        if fresh:  # low, since going up costs no refusals, yet not so low that it takes long
            self.pace = min(self.pace, max(low, LOW, self.pace / FAR_BELOW))
        else:
            self.pace = min(self.pace, _between(low, high))
        self._ramping = fresh

    def confirmed(self, possible: list[Range], now: float) -> bool:
        """More than was found was refused, and what was found explains it: go back to it."""
        rate = self.rate
        if rate is None or self._climb_from is None or self._searching:
            return False
        if not any(one.low <= rate * SAME and one.high * SAME >= rate for one in possible):
            return False
        self.pace = min(self._climb_from, rate)
        self._believe(now, again=True)
        return True

    def lowered(self, start: Start) -> None:
        """The rate that was found is refused: only what comes now counts."""
        self._evidence.begin_at(start)
        self._searching = self.blamed = True
        self._possible = []
        self.rate = self._climb_from = None
        self._since = 0
        self._peak = self.pace
        self.pace /= SLOW_DOWN

    def raised(self, start: Start) -> None:
        """More was let in than what was found permits: the rate is somewhere up to what is refused now."""
        low, high = self._climb_from or self.pace, self.pace
        self._evidence.begin_at(start)
        self._possible = [Range(size, low, high) for size in self._evidence.sizes]
        self._searching, self._ramping = True, False
        self.rate = self._climb_from = None
        self._since, self._refused_at, self._searched_at = 0, high, self._last_at
        self.pace = math.sqrt(low * high)

    def exonerated(self) -> None:
        """It was not the rate, or never: go on where the search began."""
        self._searching = self.windowed = False
        self._possible = []
        self.pace = self._before

    def look(self, now: float, *, doubt: bool) -> bool | None:
        """Weigh what was let in since. True: a rate is found; False: none explains the refusals; None: not yet.
        ``doubt``: another limit may have refused; what is possible is then merely not refuted yet, however narrow."""
        if not self._searching or not self._possible or now < self._look_at:
            return None
        self._look_at = now + LOOK_S
        self._possible = self.explanations() if self._reweigh else self._evidence.standing(self._possible)
        self._reweigh = False
        return self.settle(now, doubt=doubt)

    def settle(self, now: float, *, doubt: bool) -> bool | None:
        if not self._possible:
            self._possible = self.explanations()
        joined = together(self._possible)
        if not joined:
            return False
        low, high = self._span(joined)
        self.pace = max(self.pace, low * UNDER if self._ramping else _between(low, high))
        if doubt:
            return None
        quiet = self._since >= QUIET_CALLS and now >= self._searched_at + QUIET_S
        if high > low * NARROW and not (quiet and not self._ramping):
            return None
        high = min(high, max(low * NARROW, self.pace))
        before = self.rate
        self.rate = math.sqrt(low * high)
        self._evidence.believe(self._possible)
        self.pace = max(low * UNDER, self.rate * UNDER_MIDDLE)
        self._searching = self.windowed = False
        self._believe(now, again=before is not None and abs(self.rate / before - 1.0) < 0.1)
        self._doubtful = quiet or self.rate < DOUBTFUL * self._usual
        return True

    def _believe(self, now: float, *, again: bool) -> None:
        first, last = AFTER_S
        self._believed_s = min(last, self._believed_s * 2) if again else first
        self._believed_until = now + self._believed_s
        self._since, self._believed_calls, self._climb_from = 0, 0, None
        self._doubtful = False

    def _may_climb(self, now: float) -> bool:
        """Whether what was found has been believed for long enough."""
        if self._doubtful:
            return now >= self._believed_until - self._believed_s + DOUBT_S and self._believed_calls >= DOUBT_CALLS
        calls = self._believed_calls >= AFTER_CALLS or self._by_chance >= CHANCY
        return now >= self._believed_until + (0.0 if calls else AT_LATEST_S)

    def scale(self, factor: float) -> None:
        """This worker's part of the account has changed."""
        self.pace *= factor
        self._before *= factor
        self._peak *= factor
        self.rate = None if self.rate is None else self.rate * factor
        self._climb_from = None if self._climb_from is None else self._climb_from * factor
        self._possible = []
        self._evidence.begin_anew()

    def resume(self, pace: float, rate: float | None, now: float) -> None:
        """Go on with what was found earlier."""
        self.pace = self._peak = self._before = pace
        self.rate = rate
        self._evidence.begin_anew()
        self._believed_until = now + RESUMED_S

    def _span(self, joined: list[tuple[float, float]]) -> tuple[float, float]:
        """From the lowest to the highest rate that is possible. One above the pace would have refused nothing."""
        low, high = joined[0][0], joined[-1][1]
        return low, max(low, min(high, self._refused_at * ABOVE))

    def _grow(self, now: float, quickly: float) -> None:
        growth = self._growth(now, quickly)
        if growth and self.pace < MOST:
            most = MOST_GROWTH if self.pace > 1.0 else 1.0
            self.pace *= math.exp(min(most, growth * min(now - self._last_at, 1.5 / self.pace)))

    def _growth(self, now: float, quickly: float) -> float:
        """A second, exponential. ``quickly``: times as much while nothing is known."""
        if self._searching:
            if not self._possible:
                return GROWTH / 2
            return GROWTH if self._ramping else 0.0
        if self.rate is None:
            growth, most = (GROWTH_FIRST, QUICK) if self.pace < FAST else (GROWTH_FAST, QUICK_FAST)
            return growth * (1.0 if self.blamed else min(most, quickly))
        if self._climb_from is None:
            if not self._may_climb(now):
                return 0.0
            self._climb_from = self.pace
            self._usual = 0.0  # one try settles the doubt
        if self.windowed:
            return CLIMB_IN_WINDOWS
        far = self.pace > 1.1 * self._climb_from or self._doubtful or self._by_chance >= CHANCY
        return CLIMB_ON if far else CLIMB


def _between(low: float, high: float) -> float:
    """In the middle, yet not far below where hardly anything is known."""
    return max(math.sqrt(low * high), high / SLOW_DOWN)
