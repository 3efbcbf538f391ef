"""How the budgets of the day stand: for people, for commands, for the examination."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from laneway.app.budgets import limits_of
from laneway.store.budgets import Budget, BudgetKind, Spending, clock, end_of_day, usd
from laneway.task import State, Task, WaitReason, Wire

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.store.interface import Store
    from laneway.store.views import Depth


class Standing(NamedTuple):
    """One budget today. USD; ``waiting``: tasks that it holds back."""

    budget: Budget
    limit: float
    spending: Spending
    until: float  # the end of the day
    waiting: int = 0

    @property
    def over(self) -> bool:
        return self.spending.over(self.limit)

    def __str__(self) -> str:
        said = f"{usd(self.spending.spent)} of {usd(self.limit)} spent today"
        if self.over:
            said += f", used up; its work goes on at {clock(self.until)}"
            return said + (f" ({self.waiting:,} tasks wait)" if self.waiting else "")
        return said + (f", {usd(self.spending.reserved)} more reserved" if self.spending.reserved >= 1e-6 else "")

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.budget.kind.value,
            "name": self.budget.name,
            "limit_usd": self.limit,
            "spent_usd": round(self.spending.spent, 8),
            "reserved_usd": round(max(0.0, self.spending.reserved), 8),
            "used_up": self.over,
            "waiting": self.waiting,
            "begins_anew_at": self.until,
        }


async def standings(config: Config, store: Store | None, now: float) -> list[Standing]:
    """Of every budget in the config."""
    limits = limits_of(config)
    if not limits:
        return []
    books: Mapping[Budget, Spending] = await store.spending(now) if store else {}
    held = await store.held_by_budget() if store else {}
    depths = await store.depths() if store else []
    found = []
    for budget, limit in limits.items():
        one = Standing(budget, limit, books.get(budget, Spending()), end_of_day(now))
        if one.over:
            waiting = _waiting(config, budget, depths, held)
            one = Standing(budget, limit, one.spending, one.until, waiting)
        found.append(one)
    return found


def _waiting(config: Config, budget: Budget, depths: Sequence[Depth], held: Mapping[str, int]) -> int:
    if budget.kind is BudgetKind.TYPE:
        return held.get(budget.name, 0)
    return sum(one.counts.get(State.READY, 0) for one in depths if is_on(config, budget, one.lane, "", one.model))


def is_on(config: Config, budget: Budget, lane: str, type_: str, model: str) -> bool:
    """Whether the cost of such tasks counts for it, or may."""
    match budget.kind:
        case BudgetKind.PROJECT:
            return True
        case BudgetKind.ACCOUNT:
            return budget.name in accounts_of(config, model)
        case BudgetKind.LANE:
            return budget.name == lane
        case BudgetKind.TYPE:
            return budget.name == type_
        case _:
            assert_never(budget.kind)


def accounts_of(config: Config, model: str) -> tuple[str, ...]:
    """The model's configured accounts; without models in the config, its only one."""
    settings = config.models.get(model)
    if settings is not None:
        return settings.account_names
    return tuple(config.accounts) if model and not config.models and len(config.accounts) == 1 else ()


def holding(config: Config, task: Task, found: Iterable[Standing]) -> Iterator[Standing]:
    """Those of the budgets that keep this task from starting today."""
    over = {one.budget: one for one in found if one.over}
    accounts = [Budget(BudgetKind.ACCOUNT, name) for name in accounts_of(config, task.model)]
    own_calls = task.state is State.RUNNING and task.wire is Wire.PYTHON  # such a call waits, and its task with it
    for budget, one in over.items():
        if budget.kind is BudgetKind.TYPE:  # before its turn comes such a task stands ready
            waits = task.state is State.READY or own_calls or task.wait_reason is WaitReason.BUDGET
            if budget.name == task.type and waits:
                yield one
        elif budget in accounts:
            if task.state is State.READY and over.keys() >= set(accounts):
                yield one
        elif (task.state is State.READY or own_calls) and is_on(config, budget, task.lane, "", task.model):
            yield one
