"""The simulator's own count of everything, independent of its clients'.

At rest, ``requests = completed + rate_limited + errors + cut + hung + unauthorized``: each request ends in one of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

Ending = Literal["completed", "rate_limited", "errors", "cut", "hung", "unauthorized"]


@dataclass(slots=True)
class Account:
    """The books of all requests, of one model's or of one key's. Tokens and costs are those of completed answers."""

    requests: int = 0
    completed: int = 0
    good: int = 0  # of those, the ones that answer the request well
    rate_limited: int = 0
    errors: int = 0  # every other failed answer: 500, 400, 404, 413, an overload within a stream
    cut: int = 0
    hung: int = 0
    unauthorized: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0  # of the input tokens
    cost_usd: float | None = None  # None: nothing that has a price was completed

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return told | {"cost_usd": None if self.cost_usd is None else round(self.cost_usd, 9)}


class Books:
    def __init__(self, now: float) -> None:
        self.in_flight = 0
        self.reset(now)

    def reset(self, now: float) -> None:
        """Begin again. Calls in flight go on and are counted where they end."""
        self._began = now
        self.total = Account()
        self.max_in_flight = self.in_flight
        self.unpriced = 0  # completed answers of unknown price
        self.disconnected = 0  # completed answers that nobody waited for any more: charged, as providers do
        self.by_model: dict[str, Account] = {}
        self.by_key: dict[str, Account] = {}
        self.refused_by: Counter[str] = Counter()
        self._per_second: Counter[int] = Counter()

    def arrived(self, key: str, now: float) -> int:
        """Count a request. ``key``: as it is to be named. Returns the request's number, from 1."""
        self.total.requests += 1
        self.by_key.setdefault(key, Account()).requests += 1
        self._per_second[int(now - self._began)] += 1
        return self.total.requests

    def asked_for(self, model: str) -> None:
        self.by_model.setdefault(model, Account()).requests += 1

    def entered(self) -> None:
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def left(self) -> None:
        self.in_flight -= 1

    def ended(self, ending: Ending, key: str, model: str | None) -> None:
        for account in self._accounts(key, model):
            setattr(account, ending, getattr(account, ending) + 1)

    def answered(
        self,
        key: str,
        model: str,
        input_tokens: int,
        output_tokens: int,
        cost_usd: float | None,
        cached: int = 0,
        *,
        good: bool = True,
    ) -> None:
        """Count a completed answer with what it used."""
        self.unpriced += cost_usd is None
        for account in self._accounts(key, model):
            account.completed += 1
            account.good += good
            account.input_tokens += input_tokens
            account.output_tokens += output_tokens
            account.cached_tokens += cached
            if cost_usd is not None:
                account.cost_usd = (account.cost_usd or 0.0) + cost_usd

    def _accounts(self, key: str, model: str | None) -> list[Account]:
        accounts = [self.total, self.by_key.setdefault(key, Account())]
        if model is not None:
            accounts.append(self.by_model.setdefault(model, Account()))
        return accounts

    def as_json(self, now: float) -> dict[str, Any]:
        """``per_second``: arrivals in each second since the start or the last reset, up to the last arrival."""
        last = max(self._per_second, default=-1)
        return {
            **self.total.as_json(),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "disconnected": self.disconnected,
            "unpriced": self.unpriced,
            "refused_by": dict(self.refused_by),
            "by_model": {name: account.as_json() for name, account in self.by_model.items()},
            "by_key": {name: account.as_json() for name, account in self.by_key.items()},
            "per_second": [self._per_second.get(second, 0) for second in range(last + 1)],
            "seconds": round(now - self._began, 3),
        }
