"""How long answers take, by model, account, task type and size; and from that, how long to wait for one.

Nothing is assumed of how latencies are spread: a histogram with steps of a fifth says what was seen. A call that was
broken off counts as twice as long as it was waited for, or slow answers would teach that there are none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

ENOUGH = 30  # answers, before anything is said of their size
FACTOR = 4.0  # times the slowest 1 %: an answer that is broken off is paid all the same
FLOOR_S = 10.0
KEPT = 2000  # answers; then all counts are halved, so that what was long ago fades
MOST_GROUPS = 500  # of which something is remembered
INPUT_WEIGHT = 1 / 20  # of an input token against one to be written: reading is that much faster
_SHORTEST_S = 0.01
_STEPS = 4  # to the double
_LAST = 20 * _STEPS  # about three hours


class Group(NamedTuple):
    """What is alike: a type of task, asked of one model on one account."""

    model: str
    account: str
    type: str


@dataclass(frozen=True, slots=True)
class Usual:
    """What calls of one size take, in seconds: half of them no more than ``median``, 99 % no more than ``slow``."""

    median: float
    slow: float
    answers: int

    @property
    def limit(self) -> float:
        """How long to wait for an answer. Where answers differ widely, the slow ones lie as far again from 99 % as
        these from the median: for a log-normal spread that is one answer in 600,000 broken off. With few answers
        seen, ``slow`` may be too low: up to twice that."""
        factor = max(FACTOR, self.slow / self.median) * (1 + ENOUGH / self.answers)
        return max(FLOOR_S, self.slow * factor)


class Histogram:
    """Counts by duration, each step a fifth longer than the one before."""

    __slots__ = ("_counts", "_told", "_told_until", "_total")

    def __init__(self, counts: Mapping[int, float] | None = None) -> None:
        self._counts = dict(counts or {})
        self._total = sum(self._counts.values())
        self._told: Usual | None = None
        self._told_until = 0.0  # answers; a fiftieth more of them change little

    def add(self, seconds: float, times: float = 1.0) -> None:
        step = math.ceil(_STEPS * math.log2(max(seconds, _SHORTEST_S) / _SHORTEST_S))
        at = min(_LAST, step)
        self._counts[at] = self._counts.get(at, 0.0) + times
        self._total += times
        if self._total >= KEPT:
            self._counts = {step: count / 2 for step, count in self._counts.items() if count >= 0.5}
            self._total = sum(self._counts.values())
            self._told_until = 0.0

    @classmethod
    def sum(cls, histograms: Iterable[Histogram]) -> Histogram:
        counts: defaultdict[int, float] = defaultdict(float)
        for histogram in histograms:
            for step, count in histogram._counts.items():
                counts[step] += count
        return cls(counts)

    def usual(self) -> Usual | None:
        """None while too few were seen."""
        if self._total >= max(ENOUGH, self._told_until):
            self._told = Usual(self._quantile(0.5), self._quantile(0.99), int(self._total))
            self._told_until = 1.02 * self._total
        return self._told

    def _quantile(self, share: float) -> float:
        """The upper end of the step in which it lies."""
        left = share * self._total
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 1e-9:
                break
        return _SHORTEST_S * math.pow(2.0, step / _STEPS)

    def as_json(self) -> dict[str, float]:
        return {str(step): round(count, 2) for step, count in self._counts.items()}


class Latencies:
    """Of all calls that a worker makes; kept over restarts through ``state`` and ``restore``."""

    def __init__(self) -> None:
        self._groups: dict[Group, dict[int, Histogram]] = {}  # by size; learnt from last comes last
        self._changed: set[str] = set()  # models

    def usual(self, group: Group, input_tokens: int, output_tokens: int) -> Usual | None:
        """What a call of this size takes. Where too few were seen of it: the next larger size, which takes no less,
        else the next smaller one, stretched by as much."""
        sizes = self._groups.get(group)
        if not sizes:
            return None
        own = size_class(input_tokens, output_tokens)
        if own in sizes and (known := sizes[own].usual()) is not None:
            return known
        for size in sorted(sizes, key=lambda size: (size < own, abs(size - own))):
            if (known := sizes[size].usual()) is not None:
                times = 2.0 ** max(0, own - size)
                return Usual(known.median * times, known.slow * times, known.answers) if times > 1 else known
        return None

    def median(self, model: str) -> float | None:
        """What half of the model's answers take no more than, of whatever type and size; None while too few were
        seen."""
        groups = [sizes for group, sizes in self._groups.items() if group.model == model]
        usual = Histogram.sum(histogram for sizes in groups for histogram in sizes.values()).usual()
        return usual.median if usual else None

    def answered(self, group: Group, input_tokens: int, output_tokens: int, seconds: float, times: float = 1.0) -> None:
        """``times``: as how many answers it counts."""
        sizes = self._groups.pop(group, None) or {}
        self._groups[group] = sizes
        if len(self._groups) > MOST_GROUPS:
            del self._groups[next(iter(self._groups))]
        size = size_class(input_tokens, output_tokens)
        if size not in sizes:
            sizes[size] = Histogram()
        sizes[size].add(seconds, times)
        self._changed.add(group.model)

    def broken_off(
        self, group: Group, input_tokens: int, output_tokens: int, seconds: float, times: float = 1.0
    ) -> None:
        """Nobody knows how long it would have taken: at least so long."""
        self.answered(group, input_tokens, output_tokens, 2 * seconds, times)

    def changes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The models of which something was learnt since the last time, each with what is known."""
        changed, self._changed = self._changed, set()
        for model in sorted(changed):
            yield model, self._state(model)

    def _state(self, model: str) -> dict[str, Any]:
        known = [
            [group.account, group.type, {str(size): histogram.as_json() for size, histogram in sizes.items()}]
            for group, sizes in self._groups.items()
            if group.model == model
        ]
        return {"latencies": known}

    def restore(self, model: str, state: Mapping[str, Any]) -> None:
        """What another worker, or this one before, has learnt."""
        for account, type_name, sizes in state.get("latencies", ()):
            known = {
                int(size): Histogram({int(step): float(count) for step, count in counts.items()})
                for size, counts in sizes.items()
            }
            self._groups.setdefault(Group(model, account, type_name), known)


def size_class(input_tokens: int, output_tokens: int) -> int:
    """Sizes that take about as long, by powers of two."""
    return int(output_tokens + INPUT_WEIGHT * input_tokens).bit_length()
