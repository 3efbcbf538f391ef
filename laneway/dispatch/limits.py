"""What an account's limits permit now. Pure bookkeeping: every method takes ``now`` and nothing here waits.

A limit of N a minute is a bucket that refills at N/60 a second. Providers judge a minute's limit over 1 to 10 seconds
(ANCHORS), so the bucket holds only half a second's worth and sends evenly; where headers show that the provider's own
bucket is fuller, what is there is used, less a margin of one second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laneway.providers.model import LimitKind, Limits, Observed

DAY = 86_400.0
BURST_S = 0.5  # seconds of a rate that our bucket holds
MARGIN_S = 1.0  # seconds of a rate left in the provider's bucket when its headers show more than we planned
DISTRUST_S = 10.0  # after a refusal, headers that promise more are not believed for this long


@dataclass(frozen=True, slots=True)
class Size:
    """What one call takes of the limits (estimates). ``output_tokens`` is what is expected, not what is allowed."""

    input_tokens: int = 0
    output_tokens: int = 0
    max_output_tokens: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.max_output_tokens + other.max_output_tokens,
        )

    def __sub__(self, other: Size) -> Size:
        return Size(
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.max_output_tokens - other.max_output_tokens,
        )

    def of(self, kind: LimitKind, charges_max_tokens: bool) -> float:
        output = self.max_output_tokens if charges_max_tokens else self.output_tokens
        match kind:
            case "requests":
                return 1.0
            case "input_tokens":
                return float(self.input_tokens)
            case "output_tokens":
                return float(self.output_tokens)
            case "tokens":
                return float(self.input_tokens + output)


class Bucket:
    """A token bucket that may go into debt and, where a provider shows more, above its own capacity."""

    __slots__ = ("at", "capacity", "level", "rate")

    def __init__(self, rate: float, capacity: float, level: float, now: float) -> None:
        self.rate = rate  # a second
        self.capacity = capacity
        self.level = level
        self.at = now

    def refill(self, now: float) -> None:
        if now > self.at:
            grown = self.level + self.rate * (now - self.at)
            self.level = max(self.level, min(self.capacity, grown))
            self.at = now

    def free_at(self, amount: float, now: float) -> float:
        """When ``amount`` may be taken: now, or later. More than the bucket holds goes when the bucket is full."""
        self.refill(now)
        missing = min(amount, self.capacity) - self.level
        return now if missing <= 1e-9 else now + missing / self.rate

    def set_rate(self, rate: float, now: float) -> None:
        self.refill(now)
        if rate != self.rate:
            self.capacity *= rate / self.rate
            self.rate = rate


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


class Limiter:
    """All rate limits of one account (its concurrency is the desk's)."""

    def __init__(self, limits: Limits, now: float, *, charges_max_tokens: bool = False, share: float = 1.0) -> None:
        self._charges_max = charges_max_tokens
        self._share = share
        self._full: dict[str, float] = {}  # limit by name, whole account
        self._buckets: dict[str, tuple[Limit, Bucket]] = {}
        self._configured = {limit.name for limit in KNOWN if getattr(limits, limit.name) is not None}
        self._distrust_until = 0.0
        for limit in KNOWN:
            if (amount := getattr(limits, limit.name)) is not None:
                self._add(limit, amount, now)

    def _add(self, limit: Limit, amount: float, now: float) -> None:
        self._full[limit.name] = amount
        rate = max(amount * self._share / limit.window, 1e-9)
        capacity = max(1.0, amount * self._share if limit.window == DAY else rate * min(BURST_S, limit.window))
        level = 1.0 if limit.kind == "requests" and limit.window < DAY else capacity
        self._buckets[limit.name] = (limit, Bucket(rate, capacity, level, now))

    @property
    def known(self) -> bool:
        """Whether any rate limit is configured or was learnt."""
        return bool(self._buckets)

    def free_at(self, size: Size, now: float) -> tuple[float, str]:
        """When a call of this size may start, and which limit says so ("" when now)."""
        latest, by = now, ""
        for name, (limit, bucket) in self._buckets.items():
            at = bucket.free_at(size.of(limit.kind, self._charges_max), now)
            if at > latest:
                latest, by = at, name
        return latest, by

    def takes(self, name: str, size: Size) -> bool:
        """Whether a call of this size takes anything of the limit of this name."""
        found = self._buckets.get(name)
        return found is not None and size.of(found[0].kind, self._charges_max) > 0

    def take(self, size: Size, now: float) -> None:
        for limit, bucket in self._buckets.values():
            bucket.refill(now)
            bucket.level -= size.of(limit.kind, self._charges_max)

    def give_back(self, size: Size) -> None:
        """The call was not made after all."""
        for limit, bucket in self._buckets.values():
            bucket.level += size.of(limit.kind, self._charges_max)

    def settle(self, reserved: Size, input_tokens: int, output_tokens: int) -> None:
        """Replace the estimate by the real usage; an underestimate becomes a debt."""
        real = Size(input_tokens, output_tokens, max(reserved.max_output_tokens, output_tokens))
        for limit, bucket in self._buckets.values():
            if limit.kind != "requests":
                bucket.level += reserved.of(limit.kind, self._charges_max) - real.of(limit.kind, self._charges_max)

    def refused(self, now: float) -> None:
        """A true 429: what we thought was there is not. Refusals win over headers."""
        self._distrust_until = now + DISTRUST_S
        for limit, bucket in self._buckets.values():
            if limit.window < DAY:
                bucket.refill(now)
                bucket.level = min(bucket.level, 0.0)

    def observe(self, observed: Observed, unseen: Size, unseen_calls: int, latency: float, now: float) -> None:
        """Correct by a reply's headers. ``unseen``: what was sent after the call that brought them. The provider
        counted somewhere within the call's ``latency``, so what has refilled since then is uncertain: each way, the
        doubt goes against changing anything.
        """
        limit = _limit_of(observed)
        if limit is None:
            return
        if observed.limit is not None and observed.limit > 0:
            self._learn(limit, observed.limit, now)
        if observed.remaining is None or limit.name not in self._buckets:
            return
        bucket = self._buckets[limit.name][1]
        bucket.refill(now)
        sent = float(unseen_calls) if limit.kind == "requests" else unseen.of(limit.kind, self._charges_max)
        there = (observed.remaining - sent) * self._share
        margin = 0.0 if limit.window == DAY else max(1.0, bucket.rate * MARGIN_S)
        at_most = there + bucket.rate * latency
        if at_most < bucket.level:
            bucket.level = at_most
        elif there - margin > bucket.level and now >= self._distrust_until:
            bucket.level = there - margin

    def _learn(self, limit: Limit, amount: float, now: float) -> None:
        """A limit that nobody configured is taken from the headers; a configured one is never raised by them."""
        known = self._full.get(limit.name)
        if known is None:
            self._add(limit, amount, now)
        elif (limit.name in self._configured and amount < known) or limit.name not in self._configured:
            self._full[limit.name] = amount
            self._buckets[limit.name][1].set_rate(max(amount * self._share / limit.window, 1e-9), now)

    def set_share(self, share: float, now: float) -> None:
        """This worker's part of every rate."""
        if share == self._share:
            return
        self._share = share
        for name, (limit, bucket) in self._buckets.items():
            bucket.set_rate(max(self._full[name] * share / limit.window, 1e-9), now)

    def use(self, now: float) -> dict[str, float]:
        """How much of each limit is in use, 0 to 1, for people to look at."""
        shown = {}
        for name, (limit, bucket) in self._buckets.items():
            bucket.refill(now)
            shown[name] = min(1.0, max(0.0, 1.0 - bucket.level / max(bucket.capacity, 1.0)))
            if limit.window == DAY:
                shown[name] = min(1.0, max(0.0, 1.0 - bucket.level / self._full[name]))
        return shown

    def limits(self) -> dict[str, float]:
        """The whole account's limits as known now, by their names in the config."""
        return dict(self._full)

    def state(self) -> dict[str, Any]:
        """What to keep across a restart."""
        return {name: bucket.level for name, (_, bucket) in self._buckets.items()}

    def restore(self, state: Mapping[str, Any], age: float, now: float) -> None:
        """Go on from a state that is ``age`` seconds old. What happened since its saving is unknown: assume use."""
        for name, (limit, bucket) in self._buckets.items():
            if name not in state:
                continue
            if limit.window == DAY:
                bucket.level = min(bucket.capacity, float(state[name]) + bucket.rate * age)
            else:
                bucket.level = min(bucket.level, float(state[name]), 0.0) + bucket.rate * max(0.0, age)
                bucket.level = min(bucket.level, bucket.capacity)
            bucket.at = now


def _limit_of(observed: Observed) -> Limit | None:
    for limit in KNOWN:
        if limit.kind == observed.kind and limit.window == observed.window:
            return limit
    return None
