"""Budgets a day: what people may set one on, and what was spent. A day is a UTC day, as in the providers' own books,
so that workers anywhere agree on it; a call counts on the day on which it started."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

DAY_S = 86_400
CENT_DUST = 1e-9  # USD: sums of floats are not exact


class BudgetKind(StrEnum):
    PROJECT = "project"  # everything in the store
    ACCOUNT = "account"
    LANE = "lane"
    TYPE = "type"


class Budget(NamedTuple):
    """What a budget is on; its name is "" for the whole project."""

    kind: BudgetKind
    name: str = ""

    def __str__(self) -> str:
        return "the project" if self.kind is BudgetKind.PROJECT else f"{self.kind} {self.name}"


PROJECT = Budget(BudgetKind.PROJECT)
Limits = Mapping[Budget, float]  # USD a day
NO_LIMITS: Limits = {}


class Spending(NamedTuple):
    """Of one day, in USD. ``reserved``: by calls in flight, as estimated."""

    spent: float = 0.0
    reserved: float = 0.0

    def full(self, limit: float) -> bool:
        """No further call may start now. The last one that started may have passed the limit."""
        return self.spent + self.reserved >= limit - CENT_DUST

    def over(self, limit: float) -> bool:
        """None will before the day ends, however cheap those in flight turn out."""
        return self.full(limit) and (self.spent >= limit - CENT_DUST or self.reserved <= CENT_DUST)


def day_of(time: float) -> int:
    """Days since 1970-01-01, UTC."""
    return int(time // DAY_S)


def end_of_day(time: float) -> float:
    return float((day_of(time) + 1) * DAY_S)


def clock(midnight: float) -> str:
    """``00:00 UTC``, with the time here where that is another."""
    here = time.strftime("%H:%M", time.localtime(midnight))
    return "00:00 UTC" if here == "00:00" else f"00:00 UTC ({here} here)"


def usd(amount: float) -> str:
    """With as many digits as matter."""
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}" if amount >= 0.01 else f"${amount:.6f}"
