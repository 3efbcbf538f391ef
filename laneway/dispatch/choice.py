"""Which of a model's accounts is asked first for the next call. Whichever admits first serves it.

An account's part is its weight, less what its recent calls say against it. While it holds less than its part of the
calls in flight it takes turns with the others, by part; an account that holds its part or more is asked after them. So
calls are shared by weight, however few there are, and one that is slow or hangs keeps no more of them than its part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from laneway.dispatch.desk import Desk

SMALLEST = 0.05  # of its weight: an ailing account is still asked for some calls, or nobody would see it recover
STEP = 0.1  # how much the latest call counts against all before it
HALF_LIFE_S = 30.0  # of what failures said
FAR_SLOWER = 2.0  # times the fastest account's latency: up to this it is not held against an account
ENOUGH = 10  # answers before an account's latency says anything


class Health:
    """Of one account, by its own calls' ends."""

    def __init__(self) -> None:
        self._failing = 0.0
        self._at = 0.0
        self._answers = 0
        self._latency = 0.0

    def answered(self, latency: float, now: float) -> None:
        self._failing = self.failing(now) * (1 - STEP)
        self._at = now
        step = max(STEP, 1 / (self._answers + 1))
        self._latency += step * (latency - self._latency)
        self._answers += 1

    def failed(self, now: float) -> None:
        """The provider did not answer, or not with anything that can be used. Refusals (429) are the limits' affair."""
        self._failing = self.failing(now) * (1 - STEP) + STEP
        self._at = now

    def failing(self, now: float) -> float:
        """The share of recent calls that failed, fading with time."""
        return self._failing * math.pow(0.5, max(0.0, now - self._at) / HALF_LIFE_S)

    def state(self, now: float) -> dict[str, float]:
        return {"failing": round(self.failing(now), 4), "latency": round(self._latency, 4), "answers": self._answers}

    def restore(self, state: Mapping[str, Any], age: float, now: float) -> None:
        """Go on from what was known ``age`` seconds ago."""
        self._failing, self._at = float(state.get("failing", 0.0)), now - age
        self._latency = float(state.get("latency", 0.0))
        self._answers = min(ENOUGH, int(state.get("answers", 0)))

    def hear(self, state: Mapping[str, Any], now: float) -> None:
        """What another worker knows, while too little was seen here: without a latency a newcomer could not say how
        much it could do, would get no part of the limits, and see no answer either."""
        if self.latency is None and int(state.get("answers", 0)) >= ENOUGH:
            self.restore(state, 0.0, now)

    @property
    def latency(self) -> float | None:
        """Seconds that an answer takes, None while too few have been seen."""
        return self._latency if self._answers >= ENOUGH else None


class Candidate(NamedTuple):
    desk: Desk
    part: float


class Choice:
    """Keeps whose turn it is, for each model."""

    def __init__(self) -> None:
        self._passes: dict[tuple[str, str], float] = {}  # least goes next

    def order(self, model: str, desks: Sequence[Desk], now: float) -> list[Candidate]:
        """A model's accounts in the order in which to ask them."""
        if len(desks) == 1:
            return [Candidate(desks[0], 1.0)]
        fastest = min((desk.health.latency for desk in desks if desk.health.latency is not None), default=None)
        candidates = [Candidate(desk, _part(desk, fastest, now)) for desk in desks]
        parts = sum(candidate.part for candidate in candidates)
        in_flight = 1 + sum(desk.in_flight for desk in desks)

        def place(candidate: Candidate) -> tuple[bool, float]:
            held = candidate.desk.in_flight / candidate.part
            if held >= in_flight / parts:
                return True, held
            return False, self._passes.get((model, candidate.desk.name), 0.0)

        return sorted(candidates, key=place)

    def started(self, model: str, order: Sequence[Candidate], at: int) -> None:
        """A call starts on the account at this place; those before it did not admit, and get no turns for that."""
        name, part = order[at].desk.name, order[at].part
        now = self._passes.get((model, name), 0.0)
        for passed_over in order[:at]:
            place = model, passed_over.desk.name
            self._passes[place] = max(self._passes.get(place, 0.0), now)
        self._passes[model, name] = now + 1.0 / part


def _part(desk: Desk, fastest: float | None, now: float) -> float:
    health = 1.0 - desk.health.failing(now) if desk.breaker.closed else 0.0
    latency = desk.health.latency
    if latency and fastest and latency > FAR_SLOWER * fastest:
        health *= FAR_SLOWER * fastest / latency
    return desk.account.weight * max(SMALLEST, health)
