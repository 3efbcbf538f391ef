"""The limits of one key, enforced on arrival. Takes ``now``; shares nothing with Laneway's own limiter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from laneway.simulator.options import Options

Kind = Literal["requests", "tokens", "input_tokens", "output_tokens", "concurrency", "injected"]


class Charge(NamedTuple):
    """What one request takes from each kind of limit."""

    requests: float = 1.0
    tokens: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    kind: Kind
    wait: float  # seconds until the same request would pass, if nobody else comes
    limit: float | None = None  # per minute; of concurrency: at once
    requested: float = 1.0


class Bucket:
    """A token bucket that refills continuously and holds ``burst`` seconds of its rate, never less than 1.

    In any window of w seconds it lets at most ``capacity + rate * w`` pass. An amount above the capacity passes when
    the bucket is full and leaves a debt, so that it too is paid for in full.
    """

    __slots__ = ("at", "capacity", "level", "per_minute", "rate")

    def __init__(self, per_minute: float, burst: float, now: float) -> None:
        self.per_minute = per_minute
        self.rate = per_minute / 60  # a second
        self.capacity = max(1.0, self.rate * burst)
        self.level = self.capacity
        self.at = now

    def refill(self, now: float) -> None:
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now

    def wait(self, amount: float, now: float) -> float:
        """0 when ``amount`` may pass now, else the seconds until it may."""
        self.refill(now)
        missing = min(amount, self.capacity) - self.level
        return missing / self.rate if missing > 1e-9 else 0.0

    def until_full(self) -> float:
        """Seconds, from the last refill."""
        return (self.capacity - self.level) / self.rate


class KeyLimits:
    """One key's buckets and calls in flight."""

    def __init__(self) -> None:
        self.buckets: dict[Kind, Bucket] = {}
        self.in_flight = 0
        self._shape: tuple[float | None, ...] = ()

    def arrive(self, options: Options, charge: Charge, now: float) -> Refusal | None:
        """Let a request in and charge it, or say which limit makes it wait longest; a refused one takes nothing."""
        self.follow(options, now)
        if options.concurrency is not None and self.in_flight >= options.concurrency:
            return Refusal("concurrency", 0.1, options.concurrency)
        longest: Refusal | None = None
        for kind, bucket in self.buckets.items():
            amount = _amount(charge, kind)
            wait = bucket.wait(amount, now)
            if wait > 0 and (longest is None or wait > longest.wait):
                longest = Refusal(kind, wait, bucket.per_minute, amount)
        if longest is None:
            self.enter(charge)
        return longest

    def enter(self, charge: Charge) -> None:
        """Charge a request without asking."""
        for kind, bucket in self.buckets.items():
            bucket.level -= _amount(charge, kind)
        self.in_flight += 1

    def follow(self, options: Options, now: float) -> None:
        """Have the buckets that the options ask for; one whose limit was changed keeps its share of fullness."""
        shape = (options.rpm, options.tpm, options.input_tpm, options.output_tpm, options.burst)
        if shape == self._shape:
            return
        self._shape = shape
        old, self.buckets = self.buckets, {}
        kinds: tuple[Kind, ...] = ("requests", "tokens", "input_tokens", "output_tokens")
        for kind, per_minute in zip(kinds, shape, strict=False):
            if per_minute is None:
                continue
            bucket = self.buckets[kind] = Bucket(per_minute, options.burst, now)
            if before := old.get(kind):
                before.refill(now)
                bucket.level *= before.level / before.capacity

    def refill(self) -> None:
        """Fill every bucket at once."""
        for bucket in self.buckets.values():
            bucket.level = bucket.capacity


def _amount(charge: Charge, kind: Kind) -> float:
    amount: float = getattr(charge, kind)
    return amount
