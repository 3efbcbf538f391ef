"""The limits of one key, enforced on arrival. Takes ``now``; keeps its own books, independent of Laneway's limiter."""

from __future__ import annotations

from dataclasses import dataclass

from laneway.simulator.options import Options


class Bucket:
    """Refills continuously; holds ``burst`` seconds of its rate, at least one request's worth."""

    def __init__(self, per_minute: float, burst: float, now: float, least: float = 1.0) -> None:
        self.per_minute = per_minute
        self.capacity = max(least, per_minute / 60 * burst)
        self.level = self.capacity
        self.at = now

    def refill(self, now: float) -> None:
        self.level = min(self.capacity, self.level + (now - self.at) * self.per_minute / 60)
        self.at = now

    def admits(self, amount: float, now: float) -> float:
        """0 when ``amount`` may pass (a larger one than the bucket when it is full), else seconds to wait."""
        self.refill(now)
        missing = min(amount, self.capacity) - self.level
        return 0.0 if missing <= 1e-9 else missing / (self.per_minute / 60)


@dataclass(frozen=True, slots=True)
class Refusal:
    kind: str  # requests, tokens, input_tokens, output_tokens, concurrency
    wait: float  # seconds


class KeyLimits:
    """One key's buckets and calls in flight."""

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.in_flight = 0
        self._shape: tuple[object, ...] = ()

    def arrive(
        self, options: Options, input_tokens: int, output_tokens: int, max_tokens: int, now: float
    ) -> Refusal | None:
        """Let a request pass and charge it, or refuse it; a refused one takes nothing. ``tokens`` per minute charge
        what is allowed (``max_tokens``), input and output limits what is really used."""
        self._follow(options, now)
        if options.concurrency is not None and self.in_flight >= options.concurrency:
            return Refusal("concurrency", 0.1)
        amounts = {
            "requests": 1.0,
            "tokens": float(input_tokens + max(max_tokens, output_tokens)),
            "input_tokens": float(input_tokens),
            "output_tokens": float(output_tokens),
        }
        for kind, bucket in self.buckets.items():
            if wait := bucket.admits(amounts[kind], now):
                return Refusal(kind, wait)
        for kind, bucket in self.buckets.items():
            bucket.level -= amounts[kind]
        self.in_flight += 1
        return None

    def _follow(self, options: Options, now: float) -> None:
        """Buckets as the options stand now; a changed limit starts with what its bucket held, in proportion."""
        limits = {
            "requests": options.rpm,
            "tokens": options.tpm,
            "input_tokens": options.input_tpm,
            "output_tokens": options.output_tpm,
        }
        shape = (*limits.values(), options.burst)
        if shape == self._shape:
            return
        self._shape = shape
        old, self.buckets = self.buckets, {}
        for kind, per_minute in limits.items():
            if per_minute is None:
                continue
            bucket = self.buckets[kind] = Bucket(per_minute, options.burst, now)
            if before := old.get(kind):
                before.refill(now)
                bucket.level = bucket.capacity * before.level / before.capacity
