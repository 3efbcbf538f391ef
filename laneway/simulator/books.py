"""The simulator's own count of everything, independent of its clients'."""

from __future__ import annotations

from collections import Counter
from typing import Any

from laneway.simulator.options import SimulatedModel


class Books:
    def __init__(self, now: float) -> None:
        self.reset(now)
        self.in_flight = 0

    def reset(self, now: float) -> None:
        """Begin again. Calls in flight stay counted as such."""
        self._began = now
        self.requests = self.completed = self.rate_limited = self.errors = 0
        self.cut = self.hung = self.unauthorized = self.disconnected = self.max_in_flight = 0
        self.input_tokens = self.output_tokens = 0
        self.cost_usd = 0.0
        self.by_model: dict[str, Counter[str]] = {}
        self.by_key: Counter[str] = Counter()
        self.per_second: Counter[int] = Counter()
        self.refused_by: Counter[str] = Counter()

    def arrived(self, key: str, now: float) -> int:
        """Count a request. Returns its number, from 1."""
        self.requests += 1
        self.by_key[key[-4:] if key else "none"] += 1
        self.per_second[int(now - self._began)] += 1
        return self.requests

    def started(self) -> None:
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def answered(self, model: str, price: SimulatedModel | None, input_tokens: int, output_tokens: int) -> None:
        self.completed += 1
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        own = self.by_model.setdefault(model, Counter())
        own["completed"] += 1
        own["input_tokens"] += input_tokens
        own["output_tokens"] += output_tokens
        if price is not None:
            self.cost_usd += (input_tokens * price.input_price + output_tokens * price.output_price) / 1e6

    def as_json(self) -> dict[str, Any]:
        last = max(self.per_second, default=-1)
        return {
            "requests": self.requests,
            "completed": self.completed,
            "rate_limited": self.rate_limited,
            "errors": self.errors,
            "cut": self.cut,
            "hung": self.hung,
            "unauthorized": self.unauthorized,
            "disconnected": self.disconnected,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": round(self.cost_usd, 8),
            "by_model": {model: dict(counts) for model, counts in self.by_model.items()},
            "by_key": dict(self.by_key),
            "refused_by": dict(self.refused_by),
            "per_second": [self.per_second.get(second, 0) for second in range(last + 1)],
        }
