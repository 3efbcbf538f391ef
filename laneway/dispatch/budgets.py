"""Budgets a day, as a worker sees them: what may not start today any more, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from laneway.dispatch.desk import PRICE_OF, Blocked
from laneway.providers.model import Model
from laneway.store.budgets import NO_LIMITS, PROJECT, Budget, BudgetKind, Limits, Spending, clock, end_of_day, usd

NOTHING = Spending()


class Budgets:
    """With the books of today as they were last read. The claim itself is what keeps a budget, across workers; this
    spares it asking for what cannot be had."""

    def __init__(self, limits: Limits = NO_LIMITS) -> None:
        self.limits = limits
        self._books: Mapping[Budget, Spending] = {}
        self._now = 0.0
        self._over: set[Budget] = set()

    def update(self, books: Mapping[Budget, Spending], now: float) -> tuple[list[str], list[str]]:
        """Take in what the store says. Returns news in sentences: of budgets that are newly used up, and of those that
        have something left again."""
        self._books, self._now = books, now
        over = {budget for budget in self.limits if self.is_over(budget)}
        midnight = clock(end_of_day(now))
        used_up = [f"{self.used_up(budget)}; its work goes on at {midnight}" for budget in sorted(over - self._over)]
        again = [f"the budget of {budget} has something left again" for budget in sorted(self._over - over)]
        self._over = over
        return used_up, again

    def of_place(self, model: Model | None, lane: str, type_: str = "") -> Blocked | None:
        """Why nothing may start in this lane, on this model (None: a Python task), of this type where it is known."""
        if not self.limits:
            return None
        for budget in (PROJECT, Budget(BudgetKind.LANE, lane), Budget(BudgetKind.TYPE, type_)):
            if budget in self.limits:
                if model is not None and not is_priced(model):
                    return unpriced(model)
                if blocked := self._blocked(budget):
                    return blocked
        return None

    def unkept(self, model: Model, lane: str, type_: str) -> bool:
        """Whether a budget is on this call, and no price is known by which to keep it."""
        on = {PROJECT, Budget(BudgetKind.LANE, lane), Budget(BudgetKind.TYPE, type_)}
        on.update(Budget(BudgetKind.ACCOUNT, account.name) for account in model.accounts)
        return not is_priced(model) and not on.isdisjoint(self.limits)

    def of_account(self, name: str, model: Model) -> Blocked | None:
        budget = Budget(BudgetKind.ACCOUNT, name)
        if budget not in self.limits:
            return None
        return self._blocked(budget) if is_priced(model) else unpriced(model)

    def _blocked(self, budget: Budget) -> Blocked | None:
        found = self._books.get(budget, NOTHING)
        if not found.full(self.limits[budget]):
            return None
        by = f"budget of {budget}"
        if found.over(self.limits[budget]):
            return Blocked(end_of_day(self._now), by, budget=budget)
        return Blocked(None, by)  # calls in flight have reserved the rest: one of them may turn out cheaper

    def is_over(self, budget: Budget) -> bool:
        """Whether nothing that counts for it starts any more today."""
        limit = self.limits.get(budget)
        return limit is not None and self._books.get(budget, NOTHING).over(limit)

    @property
    def may_free(self) -> bool:
        """Whether calls in flight, a neighbour's even, hold what some budget has left."""
        full = [one for one, limit in self.limits.items() if self._books.get(one, NOTHING).full(limit)]
        return not all(map(self.is_over, full))

    def used_up(self, budget: Budget) -> str:
        """``the budget of lane legal is used up: $5.02 of $5.00 spent today``."""
        spent = self._books.get(budget, NOTHING).spent
        return f"the budget of {budget} is used up: {usd(spent)} of {usd(self.limits[budget])} spent today"

    def why_stopped(self, budgets: Iterable[Budget]) -> str:
        """Which budgets hold everything that is left, when it goes on, and the ways on."""
        found = sorted(set(budgets))
        where = " and ".join(setting(budget) for budget in found)
        return (
            f"{'; '.join(map(self.used_up, found))}; the same command goes on after {clock(end_of_day(self._now))},"
            f" or now with a higher {where}"
        )


def is_priced(model: Model) -> bool:
    return model.input_price is not None and model.output_price is not None


def unpriced(model: Model) -> Blocked:
    return Blocked(None, f"{PRICE_OF}{model.name}")


def priceless(names: Iterable[str]) -> str:
    """Why no budget can be kept for what is left, and what to do."""
    found = sorted(names)
    where = " and ".join(f"[models.{name}]" for name in found)
    return (
        f"a budget_per_day is on what is left, and there is no price for {', '.join(found)};"
        f" set input_price and output_price under {where}, then the same command goes on"
    )


def setting(budget: Budget) -> str:
    """Where it stands in the config."""
    return "budget_per_day" + (f" under [{budget.kind}s.{budget.name}]" if budget.name else "")
