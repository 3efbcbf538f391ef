"""Finding the limits that nobody stated. Pure policy: ``now`` in, decisions out.

Calls start evenly spaced, at a pace that grows while it is used. So a refusal comes back before much more was sent, and
it tells something: with n others in flight it means a concurrency of n, and the rates that explain it are few
(``evidence``). Both are held until one of them is refuted: a call that is let in where it should not have been refutes
a limit for good. After a refusal one call at a time looks whether it is let in. Server errors and ``Retry-After`` play
no part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laneway.dispatch.finding.evidence import Range, Start
from laneway.dispatch.finding.pace import START, UNPACED, Pace
from laneway.dispatch.finding.slots import Slots

PATIENCE_S = 0.25  # a call of this age was let in, unless refusals are known to take longer
WAY_S = 0.1  # to the provider and back, until a refusal shows it
LAG_S = 0.03  # that an answer waits before it is looked at, in a busy process
LONGEST_PAUSE_S = 15.0
SHUT, SHUT_S = 3, 1.0  # probes refused in a row, for so long: nothing is let in, whatever the rate
FIRST_CALLS = 10  # before the first answer of an account of which nothing is known
MAXIMUM = 1000  # in flight, where nobody refuses anything
HISTORY = 50
TRUST = ((600.0, 1.0), (3600.0, 0.8), (86_400.0, 0.5))  # (up to this age in s, part of an earlier pace to begin with)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a limit, and why."""

    at: float
    what: str  # as in the config
    limit: float | None
    reason: str


@dataclass(slots=True, eq=False)
class _Call:
    at: float
    number: int
    start: Start
    beside: int  # others in flight at its start, at most
    gone: int = 0  # of these, calls that ended so soon after that they may have ended there before
    let_in: bool = False

    @property
    def least(self) -> int:
        return self.beside - self.gone


class Finder:
    """``rate``, ``slots``: which of the two to find; what is configured or learnt from headers is not looked for. Where
    the concurrency is stated, nothing is paced before the first refusal."""

    def __init__(self, now: float, *, rate: bool = True, slots: bool = True, share: float = 1.0) -> None:
        self.history: deque[Change] = deque(maxlen=HISTORY)
        self.slots = Slots(now)
        self.pace = Pace(now, START if rate and slots else UNPACED)
        self._share = share
        self._finds_rate = rate
        self._finds_slots = slots
        self._calls: dict[int, _Call] = {}
        self._young: deque[_Call] = deque()
        self._held_by = ""
        self._doubted: list[Start] = []  # refused by the concurrency, or by the rate
        self._shut, self._shut_at = 0, now  # probes refused in a row, and since when
        self._opened_at, self._let_in_count = now, 0
        self._answered = False
        self._failing = False  # the last call ended in a way that tells nothing: no reason to go faster
        self._reacted_at = now - 1.0  # calls sent before this belong to the last refusal's moment
        self._lowered_at = now - 1.0  # what was let in before says nothing of the concurrency any more
        self._probing = False  # one call at a time looks whether anything is let in again
        self._probe: int | None = None
        self._pause = 0.0
        self._patience = PATIENCE_S
        self._latency: float | None = None
        self._way = WAY_S

    @property
    def concurrency(self) -> int | None:
        """What holds calls in flight now; None: nothing was refused because of their number."""
        return self.slots.limit if self._finds_slots else None

    def rate_is_known(self) -> None:
        """The provider's headers say it."""
        if self._finds_rate:
            self._finds_rate = self._probing = False

    def set_share(self, share: float) -> None:
        """This worker's part of the account, 0 to 1."""
        if share > 0 and abs(share / self._share - 1.0) > 0.01:
            self.pace.scale(share / self._share)
            self.slots.scale(share / self._share)
            self._share = share

    def found(self) -> dict[str, float]:
        """The whole account's limits as found, by their names in the config."""
        limits: dict[str, float] = {}
        if self._finds_rate and self.pace.rate is not None:
            limits["requests_per_minute"] = self.pace.rate * 60 / self._share
        if self._finds_slots and self.slots.limit is not None:
            limits["concurrency"] = max(1, round(self.slots.limit / self._share))
        return limits

    def state(self) -> dict[str, Any]:
        """What to keep across a restart, of the whole account."""
        pace = self.pace.pace / self._share if self._finds_rate and self._finds_slots else None
        return {
            "found": self.found(),
            "pace": pace,
            "history": [[c.at, c.what, c.limit, c.reason] for c in self.history],
        }

    def restore(self, state: Mapping[str, Any], age: float, now: float) -> None:
        """Go on from a state that is ``age`` seconds old; the older it is, the more gently."""
        self.history.extend(Change(*entry) for entry in state.get("history") or [] if len(entry) == 4)
        trust = next((part for oldest, part in TRUST if age <= oldest), None)
        if trust is None:
            return
        found = state.get("found") or {}
        rate = found.get("requests_per_minute")
        pace = float(state.get("pace") or START) if rate is None else rate / 60
        if self._finds_rate and (rate is not None or self._finds_slots):
            self.pace.resume(pace * trust * self._share, None if rate is None else rate / 60 * self._share, now)
            self._answered = True
        if self._finds_slots and (limit := found.get("concurrency")):
            self.slots.resume(max(1, int(limit * self._share)), now)

    # asking -------------------------------------------------------------------------------------------------------
    def free_at(self, now: float) -> tuple[float | None, str]:
        """When the next call may start, and what says so ("" when now). None: when a call ends."""
        self._ripen(now)
        if self._probing and self._probe is not None:
            return self._calls[self._probe].at + self._patience, "requests"
        if not self._answered and self._finds_rate and self._finds_slots and len(self._calls) >= FIRST_CALLS:
            return None, "first answer"
        if (self._finds_rate or self._probing) and self.pace.next_at > now:
            self._held_by = "requests"
            return self.pace.next_at, "requests"
        if not self._finds_slots:
            return now, ""
        limit = self.slots.limit
        if limit is None:
            return (now, "") if len(self._calls) < MAXIMUM else (None, "concurrency")
        if len(self._calls) >= limit:
            self._held_by = "concurrency"
            if self._probing or len(self._calls) > limit or not self.slots.one_more(now, self._patience):
                return None, "concurrency"
        return now, ""

    def started(self, number: int, now: float) -> None:
        held = self._held_by == "requests" and self._finds_rate and self._answered
        held = held and not self._probing and not self._failing
        start = self.pace.started(now, held=held, latency=self._latency or 1.0)
        call = self._calls[number] = _Call(now, number, start, len(self._calls))
        self._young.append(call)
        if self._probing:
            self._probe = number
        self._held_by = ""

    def withdrawn(self, number: int) -> None:
        """The call was not made, or it was broken off, or it failed in a way that tells nothing."""
        if call := self._calls.pop(number, None):
            self._failing = True
            self.pace.says_nothing(call.start)
            if call in self._young:
                self._young.remove(call)
            if self._probe == number:
                self._probe = None

    # learning -----------------------------------------------------------------------------------------------------
    def replied(self, number: int, latency: float, now: float) -> None:
        """A call was let in and has ended."""
        self._answered, self._failing = True, False
        self._latency = latency if self._latency is None else self._latency + 0.1 * (latency - self._latency)
        self.slots.slack = int(LAG_S * len(self._calls) / max(self._latency, LAG_S))
        if call := self._calls.pop(number, None):
            self._let_in(call, now)
            if self._finds_slots:
                self._count_as_gone(number, now)

    def _count_as_gone(self, number: int, now: float) -> None:
        """For those that started after it, and so lately that it may have ended there before."""
        for other in reversed(self._young):  # in the order of starting
            if other.number <= number or now - other.at > self._way:
                break
            other.gone += 1

    def refused(self, number: int, latency: float, now: float) -> None:
        """A true 429, ``latency`` seconds after its start."""
        call = self._calls.pop(number, None)
        if call is None:
            return
        self._answered = True
        call.start.refused, call.start.open = True, False
        for later in self._calls.values():
            if later.number > number:
                later.beside -= 1
        if call in self._young:
            self._young.remove(call)
        self._way = 1.5 * latency
        self._patience = max(0.05, min(2.0, 3.0 * latency))
        self._ripen(now)
        if call.at <= self._reacted_at and self._probe != number:
            self.slots.cut(call.least)
            self.pace.once_more()
            return
        again = self._probing and self._probe == number
        self._shut = self._shut + 1 if again else 0
        self._shut_at = self._shut_at if again else now
        self._reacted_at = now
        judged = self._judge(call, now)
        self.pace.refused()
        if not judged:
            if again:
                self._probing, self._probe = False, None
            return
        self._probing, self._probe = True, None
        self.pace.keep_up(now)
        gap = 1.0 / self.pace.pace
        self._pause = max(gap, min(LONGEST_PAUSE_S, 2 * self._pause if again else 0.0))
        self.pace.next_at = now + self._pause

    # judging ------------------------------------------------------------------------------------------------------
    def _judge(self, call: _Call, now: float) -> bool:
        """Which limit refused this call? False: none of those that are looked for."""
        by_slots = self._finds_slots and self.slots.explains(call.beside)
        ranges = self.pace.explanations() if self._finds_rate else []
        if by_slots and self.slots.seeking:
            self.pace.says_nothing(call.start)
            if self.slots.sought(call.least, now):
                self._note("concurrency", self.slots.limit, "refused with more, let in with so many", now)
        elif self.pace.climbing and not ranges and not by_slots:
            self.pace.raised(call.start)
            self._note("requests_per_minute", None, "more was let in than before", now)
        elif not by_slots and self.pace.perhaps_chance and not self.pace.so_soon:
            self.pace.by_chance(call.start)
        elif ranges and (not by_slots or self.pace.climbing) and not self._changed(call):
            self._rate_refused(ranges, now)
        elif by_slots and (self.slots.expected(call.beside) or (self._finds_rate and not ranges)):
            self._doubted.append(call.start)
            most = max(call.least, min(call.beside, self.slots.refused or 0))  # what was found, if that can be
            self._slots_found(most, "refused with more, let in with so many", now)
        elif by_slots:
            self.slots.doubt(call.least, max(0.5, self._latency or 1.0), now)
            self._note("concurrency", self.slots.limit, "refused with so many in flight: by this, or by a rate", now)
            self._doubted.append(call.start)
            if ranges:
                self.pace.search(ranges)
        elif not self._finds_rate and self.slots.limit is None:
            return False
        else:
            self._lowered(call, now)
        return True

    def _changed(self, call: _Call) -> bool:
        """Whether what was found is refused: at the concurrency that was fine, or with fewer at once after that, before
        any rate was found; or at the rate that was found, twice in a row."""
        if self.pace.rate is None:
            full = call.beside + 1 >= (self.slots.limit or 0) or (
                self._probe == call.number and not self.pace.searching
            )
            return self.slots.sure and not self.slots.cried_wolf and full
        return self.pace.holding and self.pace.so_soon

    def _rate_refused(self, ranges: list[Range], now: float) -> None:
        if self.slots.limit is not None and not self.slots.sure:
            self._slots_cleared()
            self._note("concurrency", None, "refused with fewer in flight: it is not this", now)
        self.pace.blamed = True
        if not self.pace.confirmed(ranges, now):
            self.pace.search(ranges)
            self._settled(self.pace.settle(now, doubt=self.slots.doubtful), now)

    def _slots_found(self, beside: int, reason: str, now: float) -> None:
        for start in self._doubted:
            self.pace.says_nothing(start)
        self._doubted.clear()
        if self.pace.searching:
            if self.pace.blamed:
                self.pace.once_more()
            else:
                self.pace.exonerated()
        if self.slots.found(beside, now):
            self._note("concurrency", self.slots.limit, reason, now)

    def _slots_cleared(self) -> None:
        self._doubted.clear()
        self.slots.cleared()

    def _lowered(self, call: _Call, now: float) -> None:
        """Nothing that was found explains this refusal: a limit was changed."""
        if self.slots.limit is not None and (self._held_by == "concurrency" or self.pace.rate is None):
            self.pace.says_nothing(call.start)
            self._lowered_at = now
            self.slots.lowered(call.least, now)
            self._note("concurrency", self.slots.limit, "refused where it was not before", now)
        elif self._finds_rate:
            self._lowered_at = now
            self.slots.forget()
            self.pace.lowered(call.start)
            self._note("requests_per_minute", None, "refused where it was not before", now)

    def _settled(self, found: bool | None, now: float) -> None:
        if found:
            assert self.pace.rate is not None
            self._note("requests_per_minute", self.pace.rate * 60, "no other rate explains what was refused", now)
        elif found is False:
            if self.slots.doubtful and self.slots.refused is not None:
                self._slots_found(self.slots.refused, "no rate explains the refusal", now)
            else:
                self.pace.exonerated()
                self._note("requests_per_minute", None, "no rate explains the refusals", now)

    def _let_in(self, call: _Call, now: float) -> None:
        if call.let_in:
            return
        call.let_in, call.start.open = True, False
        self._let_in_count += 1
        self.pace.let_in(now)
        if call.number == self._probe:
            self._probe, self._probing, self._pause = None, False, 0.0
            shut = self._shut >= SHUT and now - self._shut_at >= SHUT_S
            if self._finds_rate and (shut or (self._shut and self.pace.windowed)):
                self._reopened(now)
            self._shut = 0
        if call.at <= self._lowered_at:
            return
        sure, before = self.slots.sure, self.slots.limit
        if not self.slots.let_in(call.least + 1) or sure or before is None:
            return
        if self.slots.seeking:
            self.slots.as_before(now)
            self._note("concurrency", self.slots.limit, "as many are let in as before", now)
        else:
            self._slots_cleared()
            self.pace.blamed = True
            self._note("concurrency", None, "one more was let in: it is not this", now)

    def _reopened(self, now: float) -> None:
        opened_at = (now + self._reacted_at) / 2  # between the last probe that was refused and this one
        rate = self._let_in_count / max(1.0, opened_at - self._opened_at)
        self._opened_at, self._let_in_count = opened_at, 0
        self._slots_cleared()
        self.pace.reopened(rate, now)
        self._note("requests_per_minute", rate * 60, "for long nothing was let in: what was on average", now)

    def _ripen(self, now: float) -> None:
        """Calls that would have been refused by now were let in."""
        while self._young and self._young[0].at + self._patience <= now:  # the very sum that `free_at` tells
            self._let_in(self._young.popleft(), now)
        if not self._probing:
            self._settled(self.pace.look(now, doubt=self.slots.doubtful), now)

    def _note(self, what: str, limit: float | None, reason: str, now: float) -> None:
        self.history.append(Change(now, what, limit, reason))
