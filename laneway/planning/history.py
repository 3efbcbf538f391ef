"""What earlier calls took, as far as it says something about the next ones."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from laneway.planning.ranges import Range
from laneway.store.figures import PastCall
from laneway.task import Outcome

LEAST = 5  # answered calls before they are taken to say something
DRIFT = 0.08  # how far a provider's mean moves from one day to the next, and a file's tasks from the last file's
SPREAD_OF_MEAN = 2.0  # standard errors either way: 95 of 100 means
_ANSWERED = (Outcome.OK, Outcome.OUTPUT, Outcome.ESCALATED)
_NOT_THE_CALL = (Outcome.ACCOUNT, Outcome.LOST, Outcome.CANCELLED, None)  # say nothing about how calls go


@dataclass(frozen=True, slots=True)
class Sample:
    """Figures of one kind from past calls."""

    n: int
    mean: float
    deviation: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Sample:
        n = len(values)
        mean = sum(values) / n
        variance = sum((value - mean) ** 2 for value in values) / max(1, n - 1)
        return cls(n, mean, math.sqrt(variance), min(values), max(values))

    def mean_of(self, calls: float) -> Range:
        """The mean that so many further calls will have."""
        if not self.mean:
            return Range(0.0, 0.0)
        error = SPREAD_OF_MEAN * self.deviation * math.sqrt(1 / self.n + 1 / max(1.0, calls))
        either_way = DRIFT * self.mean + error
        return Range(max(0.0, self.mean - either_way, self.least / 2), self.mean + either_way)

    def longest_of(self, calls: float) -> float:
        """What the longest of the further calls may come to."""
        return max(self.most, self.mean + math.sqrt(2 * math.log(max(2.0, calls))) * self.deviation) * (1 + DRIFT)


@dataclass(frozen=True, slots=True)
class Past:
    """Calls of one model and task type, or of one model."""

    seconds: Sample
    input_ratio: Sample  # tokens used over tokens estimated
    output_tokens: Sample
    cached: float  # share of the input that came from the provider's cache
    failed: float  # share of calls that brought no usable answer
    calls: int


class History:
    """The newest calls, by model and type. ``at_once``: the most that were in flight on an account."""

    def __init__(self, calls: Iterable[PastCall] = ()) -> None:
        by: defaultdict[tuple[str, str | None], list[PastCall]] = defaultdict(list)
        accounts: defaultdict[str, list[PastCall]] = defaultdict(list)
        for call in calls:
            if call.outcome in _NOT_THE_CALL or call.latency is None:
                continue
            by[call.model, call.type].append(call)
            by[call.model, None].append(call)
            accounts[call.account].append(call)
        self._past = {place: past for place, calls in by.items() if (past := _past(calls))}
        self.at_once = {account: _at_once(calls) for account, calls in accounts.items()}

    def of(self, model: str, type: str | None) -> Past | None:
        """None where too few calls were answered; ``type`` None: of all the model's calls."""
        return self._past.get((model, type))


def _past(calls: Sequence[PastCall]) -> Past | None:
    answered = [call for call in calls if call.outcome in _ANSWERED and call.usage is not None]
    measured = [call for call in answered if call.input_tokens > 0]
    if len(measured) < LEAST:
        return None
    used = [call.usage for call in answered if call.usage]
    return Past(
        seconds=Sample.of([call.latency or 0.0 for call in answered]),
        input_ratio=Sample.of([call.usage.input_tokens / call.input_tokens for call in measured if call.usage]),
        output_tokens=Sample.of([float(one.output_tokens) for one in used]),
        cached=sum(one.cached_tokens for one in used) / max(1, sum(one.input_tokens for one in used)),
        failed=1 - sum(call.outcome is Outcome.OK for call in calls) / len(calls),
        calls=len(calls),
    )


def _at_once(calls: Sequence[PastCall]) -> int:
    """The most calls that overlapped."""
    edges = [(call.started_at, 1) for call in calls]
    edges += [(call.started_at + (call.latency or 0.0), -1) for call in calls]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most
