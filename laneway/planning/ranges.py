"""From a low to a high figure: what is known of something that has not happened yet."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    low: float
    high: float

    @classmethod
    def of(cls, one: float, other: float) -> Range:
        """Between two figures, whichever is the lower."""
        return cls(min(one, other), max(one, other))

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> Range:
        return Range(self.low * factor, self.high * factor)

    def times(self, other: Range) -> Range:
        """The product of two that are not negative."""
        return Range(self.low * other.low, self.high * other.high)

    def within(self, least: float, most: float) -> Range:
        return Range(min(max(self.low, least), most), min(max(self.high, least), most))

    @property
    def middle(self) -> float:
        """As far from the low as from the high, as a factor."""
        if self.low <= 0:
            return self.high / 2
        return math.sqrt(self.low * self.high)

    def as_json(self, digits: int = 4) -> dict[str, float]:
        return {"low": round(self.low, digits), "high": round(self.high, digits)}

    def as_counts(self) -> dict[str, int]:
        return {"low": math.floor(self.low), "high": math.ceil(self.high)}


NOTHING = Range(0.0, 0.0)


def total(ranges: Iterable[Range]) -> Range:
    low = high = 0.0
    for one in ranges:
        low += one.low
        high += one.high
    return Range(low, high)
