"""What an account's rate limits permit now. Pure bookkeeping: every method takes ``now`` and nothing here waits.

A call reserves what it is expected to take of every limit, and settles what it really took. Limits that nobody
configured are learnt from headers. How far headers are believed: design/limits.md.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from laneway.dispatch.bucket import BURST_S, Bucket
from laneway.dispatch.reckoning import LONGEST, Passed
from laneway.providers.model import LimitKind, Limits, Observed

DAY = 86_400.0
MARGIN_S = 0.05  # seconds of a rate that are left of what headers show: calls overtake each other on their way
DISTRUST_S = 10.0  # for which headers that promise more are not believed after a refusal; twice that after the next
LONGEST_DISTRUST_S = 640.0
DAY_PART_S = 1.0  # after which a worker whose part of a day is used up asks again
TOGETHER = 2.0  # standard errors of what is expected that all calls in flight may be off by
CERTAINTY = 3.0  # standard deviations of what the calls in flight may use beyond their estimates …
ALONE = 10.0  # … and of what one may: a few answers are many times as long as the others


class Size(NamedTuple):
    """What one call takes of the limits, estimated. ``output_tokens``: what is expected. ``max_output_tokens``: what a
    provider reckons with that charges for what is allowed; where nothing is (not ``bounded``), what is expected."""

    input_tokens: int = 0
    output_tokens: int = 0
    max_output_tokens: int = 0
    bounded: bool = True
    variance: float = 0.0  # of the tokens, in square tokens
    error: float = 0.0  # standard error of what is expected, in tokens: all calls are off by it together

    def of(self, kind: LimitKind, charges_max_tokens: bool) -> float:
        match kind:
            case "requests":
                return 1.0
            case "input_tokens":
                return float(self.input_tokens)
            case "output_tokens":
                return float(self.output_tokens)
            case "tokens":
                return float(self.input_tokens + (self.max_output_tokens if charges_max_tokens else self.output_tokens))


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit by its name in the config, e.g. ``requests_per_minute``."""

    name: str
    kind: LimitKind
    window: float  # seconds


KNOWN = (
    Limit("requests_per_second", "requests", 1.0),
    Limit("requests_per_minute", "requests", 60.0),
    Limit("requests_per_day", "requests", DAY),
    Limit("input_tokens_per_minute", "input_tokens", 60.0),
    Limit("output_tokens_per_minute", "output_tokens", 60.0),
    Limit("tokens_per_minute", "tokens", 60.0),
)


@dataclass(slots=True, eq=False)
class Reservation:
    """What one call has taken. It ends by being settled, given back or let go, once."""

    number: int  # in the order of starting
    at: float
    size: Size
    passed: dict[str, Passed] = field(default_factory=dict)  # by the limit's name
    open: bool = True


class Limiter:
    """All rate limits of one account (its concurrency is the desk's)."""

    def __init__(self, limits: Limits, now: float, *, charges_max_tokens: bool = False, share: float = 1.0) -> None:
        self._charges_max = charges_max_tokens
        self._share = share
        self._full: dict[str, float] = {}  # limit by name, whole account
        self._buckets: dict[str, tuple[Limit, Bucket]] = {}
        self._configured = {limit.name for limit in KNOWN if getattr(limits, limit.name) is not None}
        self._count = 0
        self._recent: deque[Reservation] = deque(maxlen=LONGEST)  # for limits that are learnt later
        self._writing = 0.0  # output tokens of the calls in flight
        self._variance = {True: 0.0, False: 0.0}  # of what they write; by whether a bound is charged instead
        self._errors = {True: 0.0, False: 0.0}
        self._day: dict[str, float] = {}  # of what is left of a day, this worker's part until its next grant
        self._told: dict[str, int] = {}  # by which call's headers each limit was told last
        self._distrust_until = 0.0
        self._distrust_s = DISTRUST_S
        for limit in KNOWN:
            if (amount := getattr(limits, limit.name)) is not None:
                self._add(limit, amount, now)

    def _add(self, limit: Limit, amount: float, now: float) -> None:
        """As if it had been known from the start: what was sent lately has taken of it."""
        self._full[limit.name] = amount
        since = self._recent[0].at if self._recent else now
        capacity = self._capacity(limit, amount)
        bucket = Bucket(self._rate(limit, amount), since, capacity=capacity)
        self._buckets[limit.name] = limit, bucket
        for reservation in self._recent:
            self._pass(limit, bucket, reservation, reservation.at)

    def configure(self, limits: Limits, now: float) -> None:
        """These are stated from here on. What is not any more is as if nobody had ever said it."""
        for limit in KNOWN:
            name, amount = limit.name, getattr(limits, limit.name)
            if amount is None:
                if name in self._configured:
                    self._configured.remove(name)
                    del self._buckets[name], self._full[name]
                    self._day.pop(name, None)
                continue
            self._configured.add(name)
            if name not in self._buckets:  # it is for what comes: what was sent lately is no debt
                self._full[name] = amount
                bucket = Bucket(self._rate(limit, amount), now, capacity=self._capacity(limit, amount))
                self._buckets[name] = limit, bucket
            elif self._full[name] != amount:
                self._full[name] = amount
                self._set_rate(name, now)

    def _rate(self, limit: Limit, amount: float) -> float:
        return max(amount * self._part(limit) / limit.window, 1e-9)

    def _part(self, limit: Limit) -> float:
        """A day's calls are counted over all workers, so each keeps the books of the whole."""
        return 1.0 if limit.window == DAY else self._share

    @staticmethod
    def _capacity(limit: Limit, amount: float) -> float | None:
        return max(1.0, amount) if limit.window == DAY else None

    def _pass(self, limit: Limit, bucket: Bucket, reservation: Reservation, at: float) -> None:
        amount = reservation.size.of(limit.kind, self._charges_max)
        known = limit.kind == "requests" or not reservation.open
        reservation.passed[limit.name] = bucket.take(amount, reservation.number, at, known=known)

    def _counted_late(self, kind: LimitKind) -> bool:
        """Whether a call may be counted only while it is answered: then a header need not know of those in flight."""
        return kind == "output_tokens" or (kind == "tokens" and not self._charges_max)

    @property
    def known(self) -> bool:
        """Whether any rate limit is configured or was learnt."""
        return bool(self._buckets)

    # calls --------------------------------------------------------------------------------------------------------
    def free_at(self, size: Size, now: float) -> tuple[float, str]:
        """When a call of this size may start, and which limit says so ("" when now)."""
        latest, by = now, ""
        for name, (limit, bucket) in self._buckets.items():
            if limit.window == DAY and self._share < 1.0 and self._day.get(name, 1.0) < 1.0:
                at = now + DAY_PART_S
                latest, by = (at, name) if at > latest else (latest, by)
            at = bucket.free_at(size.of(limit.kind, self._charges_max), now, self._doubt(limit.kind, size))
            if at > latest:
                latest, by = at, name
        return latest, by

    def _doubt(self, kind: LimitKind, size: Size) -> float:
        """How much more than expected the calls in flight and this one may take."""
        if kind in ("requests", "input_tokens"):
            return 0.0
        variance, errors, own = self._variance[False], self._errors[False], 0.0
        if kind == "output_tokens":
            variance += self._variance[True]
            errors += self._errors[True]
        if kind == "output_tokens" or not self._charged_bound(size):
            own = ALONE * math.sqrt(size.variance)
            own = min(own, size.max_output_tokens - size.output_tokens) if size.bounded else own
        return math.hypot(CERTAINTY * math.sqrt(max(0.0, variance)), TOGETHER * (errors + size.error), own)

    def _charged_bound(self, size: Size) -> bool:
        return self._charges_max and size.bounded

    def takes(self, name: str, size: Size) -> bool:
        """Whether a call of this size takes anything of the limit of this name."""
        found = self._buckets.get(name)
        return found is not None and size.of(found[0].kind, self._charges_max) > 0

    def take(self, size: Size, now: float) -> Reservation:
        self._count += 1
        reservation = Reservation(self._count, now, size)
        for name, (limit, bucket) in self._buckets.items():
            self._pass(limit, bucket, reservation, now)
            if name in self._day:
                self._day[name] -= 1.0
        self._recent.append(reservation)
        self._count_in(size, 1)
        return reservation

    def resize(self, reservation: Reservation, size: Size, now: float) -> None:
        """More is known of a call that is about to start."""
        if reservation.open and size != reservation.size:
            self._count_in(reservation.size, -1)
            self._count_in(size, 1)
            reservation.size = size
            self._correct(reservation, now, known=False)

    def settle(self, reservation: Reservation, input_tokens: int, output_tokens: int, now: float) -> None:
        """Replace the estimate by what the provider counted; an underestimate becomes a debt."""
        if self._end(reservation):
            reserved = reservation.size
            allowed = max(reserved.max_output_tokens, output_tokens) if reserved.bounded else output_tokens
            reservation.size = Size(input_tokens, output_tokens, allowed, reserved.bounded)
            self._correct(reservation, now)

    def spare(self, reservation: Reservation, now: float) -> None:
        """The provider refused the call: it counts as a request and no more."""
        if self._end(reservation):
            reservation.size = Size()
            self._correct(reservation, now)

    def give_back(self, reservation: Reservation, now: float) -> None:
        """The call was never sent."""
        if self._end(reservation):
            for name, passed in reservation.passed.items():
                if name in self._buckets:
                    self._buckets[name][1].correct(passed, -passed.extra, now)
            if reservation in self._recent:
                self._recent.remove(reservation)

    def let_go(self, reservation: Reservation, now: float) -> None:
        """The call ended, and nobody says what it used: all that was reserved."""
        if self._end(reservation):
            self._correct(reservation, now)

    def _end(self, reservation: Reservation) -> bool:
        if not reservation.open:
            return False
        reservation.open = False
        self._count_in(reservation.size, -1)
        return True

    def _count_in(self, size: Size, sign: int) -> None:
        self._writing += sign * size.output_tokens
        self._variance[self._charged_bound(size)] += sign * size.variance
        self._errors[self._charged_bound(size)] += sign * size.error

    def _correct(self, reservation: Reservation, now: float, *, known: bool = True) -> None:
        for name, passed in reservation.passed.items():
            if name in self._buckets:
                limit, bucket = self._buckets[name]
                bucket.correct(passed, reservation.size.of(limit.kind, self._charges_max), now, known=known)

    # what replies say ---------------------------------------------------------------------------------------------
    def refused(self, now: float) -> None:
        """A true 429: what we thought was there is not. Refusals win over headers, longer each time."""
        if now >= self._distrust_until:
            soon = now < self._distrust_until + self._distrust_s
            self._distrust_s = min(LONGEST_DISTRUST_S, 2 * self._distrust_s) if soon else DISTRUST_S
        self._distrust_until = now + self._distrust_s
        for limit, bucket in self._buckets.values():
            if limit.window < DAY:
                bucket.empty(now)

    def observe(self, observed: Observed, reservation: Reservation, now: float) -> None:
        """Correct by the headers of the reply to this call."""
        limit = _limit_of(observed)
        if limit is None:
            return
        trust = now >= self._distrust_until
        if observed.limit is not None and observed.limit > 0:
            if reservation.number < self._told.get(limit.name, 0) and observed.limit != self._full[limit.name]:
                return  # it was changed since, as the reply to a later call said
            self._told[limit.name] = reservation.number
            self._learn(limit, observed.limit, now, trust=trust)
            trust = trust and observed.limit <= self._full[limit.name]  # of a larger bucket than the one to be kept to
        trust = trust and self._share >= 1.0  # what is left may be what others are about to use
        if observed.remaining is None or limit.name not in self._buckets:
            return
        bucket = self._buckets[limit.name][1]
        margin = 0.0 if limit.window == DAY else bucket.rate * MARGIN_S + (1.0 if limit.kind == "requests" else 0.0)
        bucket.shown(
            observed.remaining * self._part(limit),
            observed.slack * self._part(limit),
            reservation.number,
            now,
            margin=margin,
            trust=trust,
            pending=self._writing if self._counted_late(limit.kind) else None,
        )

    def _learn(self, limit: Limit, amount: float, now: float, *, trust: bool) -> None:
        """A limit that nobody configured is taken from the headers; a configured one is never raised by them."""
        known = self._full.get(limit.name)
        if known is None:
            self._add(limit, amount, now)
        elif amount < known or (amount > known and trust and limit.name not in self._configured):
            self._full[limit.name] = amount
            self._set_rate(limit.name, now)

    def _set_rate(self, name: str, now: float) -> None:
        limit, bucket = self._buckets[name]
        amount = self._full[name]
        bucket.set_rate(self._rate(limit, amount), now, capacity=self._capacity(limit, amount))

    def set_share(self, share: float, now: float) -> None:
        """This worker's part of every rate. Without any, what its buckets held is gone: others have it."""
        if share == self._share:
            return
        self._share = share
        for name, (limit, bucket) in self._buckets.items():
            if limit.window < DAY:
                self._set_rate(name, now)
                if not share:
                    bucket.drain(now)

    def in_debt(self, now: float) -> bool:
        """Whether calls took more of a rate than there was."""
        return any(bucket.level(now) < 0 for limit, bucket in self._buckets.values() if limit.window < DAY)

    def made_elsewhere(self, calls: int, now: float) -> None:
        """So many more calls were made by other workers. Of what is left of a day each uses half its share until it
        asks again: by then others may have used theirs, and not have told yet."""
        for name, (limit, bucket) in self._buckets.items():
            if limit.window == DAY:
                if calls:
                    bucket.go_on(bucket.level(now) - calls, now)
                self._day[name] = bucket.level(now) * self._share / 2

    def whole(self, seconds: float, size: Size) -> tuple[float | None, int | None]:
        """How many calls of this size the rates of the whole account permit in so many seconds, and how many the
        buckets of all workers may hold together. None: no rate says."""
        a_second = [
            self._full[name] / limit.window / max(size.of(limit.kind, self._charges_max), 1.0)
            for name, (limit, _) in self._buckets.items()
            if limit.window < DAY
        ]
        if not a_second:
            return None, None
        return min(a_second) * seconds, max(1, int(min(a_second) * BURST_S))

    # for people, and for the next run -----------------------------------------------------------------------------
    def use(self, now: float) -> dict[str, float]:
        """How much of each limit is in use, 0 to 1, for people to look at."""
        return {
            name: min(1.0, max(0.0, 1.0 - bucket.level(now) / bucket.capacity))
            for name, (_, bucket) in self._buckets.items()
        }

    def limits(self) -> dict[str, float]:
        """The whole account's limits as known now, by their names in the config."""
        return dict(self._full)

    def learnt(self) -> dict[str, float]:
        """Those that nobody configured."""
        return {name: amount for name, amount in self._full.items() if name not in self._configured}

    def state(self, now: float) -> dict[str, Any]:
        """What to keep across a restart."""
        return {name: bucket.level(now) for name, (_, bucket) in self._buckets.items()}

    def hear(self, learnt: Mapping[str, Any], now: float) -> None:
        """Limits that headers told another worker."""
        for limit in KNOWN:
            amount = _positive(learnt.get(limit.name))
            if limit.name not in self._buckets and amount is not None:
                self._add(limit, amount, now)

    def restore(self, learnt: Mapping[str, Any], levels: Mapping[str, Any], age: float, now: float) -> None:
        """Go on from what was known ``age`` seconds ago, learnt limits included, until a reply says otherwise. What
        happened since is unknown: assume use."""
        for limit in KNOWN:
            amount = _positive(learnt.get(limit.name))
            if limit.name not in self._buckets and amount is not None:
                self._add(limit, amount, now)
            level = levels.get(limit.name)
            if limit.name not in self._buckets or not isinstance(level, int | float):
                continue
            bucket = self._buckets[limit.name][1]
            kept = float(level) if limit.window == DAY else min(float(level), 0.0)
            bucket.go_on(kept + bucket.rate * max(0.0, age), now)


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _limit_of(observed: Observed) -> Limit | None:
    for limit in KNOWN:
        if limit.kind == observed.kind and limit.window == observed.window:
            return limit
    return None
