"""What a plan rests on, in sentences: assumptions, gaps, and how to know better."""

from __future__ import annotations

from collections.abc import Iterator

from laneway.app.standing import Standing, accounts_of, is_on
from laneway.config.models import Config
from laneway.dispatch.budgets import setting as place_of
from laneway.planning.capacity import has_limits
from laneway.planning.estimate import AT_ONCE_S, FULL_MINUTE_S, Estimate, Setting
from laneway.planning.expect import RETRIED, RETRIED_ANSWER, UNBOUNDED_ANSWER, Expectation
from laneway.planning.ranges import total
from laneway.providers.model import Account
from laneway.store.budgets import BudgetKind, clock, usd


def notes_of(found: Estimate, setting: Setting) -> Iterator[str]:
    """The weightiest first."""
    for name in found.unpriced:
        yield f"no price is known for {name}: its cost is unknown, not nothing"
    fallbacks = {name for one in found.ways for name in one.way.fallbacks}
    for name in sorted(fallbacks.difference(found.unpriced)):
        if setting.models[name].input_price is None or setting.models[name].output_price is None:
            yield f"no price is known for the fallback {name}: what goes there costs more than is counted here"
    new = [one for one in found.ways if one.past is None]
    yield from _without_history(new)
    if unbounded := sum(one.tasks for one in new if not one.way.bounded):
        yield (
            f"how long an answer may be is not said in {unbounded:,} of the requests:"
            f" assumed {UNBOUNDED_ANSWER.low:.0f} to {UNBOUNDED_ANSWER.high:.0f} tokens on average"
        )
    yield from _without_limits(found, setting)
    yield from _all_at_once(found, setting)
    if new:
        again = RETRIED_ANSWER if any(one.way.structured for one in new) else RETRIED
        yield f"the high figures count {again:.0%} of the calls twice, for retries and fallbacks"


def _without_history(ways: list[Expectation]) -> Iterator[str]:
    models: dict[str, list[Expectation]] = {}
    for one in ways:
        models.setdefault(one.way.model, []).append(one)
    for name, of_model in models.items():
        low, high = min(one.call_s.low for one in of_model), max(one.call_s.high for one in of_model)
        types = ", ".join(sorted({one.way.type for one in of_model}))
        basis = "judged by its other types" if any(one.other_types for one in of_model) else "assumed"
        yield f"no history for {name} ({types}): {basis} {low:.2g} to {high:.2g} s a call"


def _all_at_once(found: Estimate, setting: Setting) -> Iterator[str]:
    name, _, limit = (found.bound_by or "").partition(": ")
    account = _accounts(found, setting).get(name)
    if account is not None and limit.endswith("_per_minute") and not setting.local(account):
        seconds = AT_ONCE_S.get(account.provider, FULL_MINUTE_S)
        yield f"the low time has {seconds:.0f} s worth of {limit} go at once, as an account that was idle may allow"


def _accounts(found: Estimate, setting: Setting) -> dict[str, Account]:
    models = [setting.models[one.way.model] for one in found.ways]
    return {account.name: account for model in models for account in model.accounts}


def _without_limits(found: Estimate, setting: Setting) -> Iterator[str]:
    for name, account in sorted(_accounts(found, setting).items()):
        if not has_limits(account.limits):
            yield f"no limits are known for account {name}: how many calls may run at once is found on the way"


def notes_of_budget(config: Config, one: Standing, found: Estimate) -> Iterator[str]:
    """When it does not reach for all of this today. What goes to a model with several accounts may go to another."""
    costs = [
        each.cost
        for each in found.ways
        if each.cost is not None and is_on(config, one.budget, each.way.lane, each.way.type, each.way.model)
        if one.budget.kind is not BudgetKind.ACCOUNT or len(accounts_of(config, each.way.model)) == 1
    ]
    cost, left = total(costs), max(0.0, one.limit - one.spending.spent - one.spending.reserved)
    if costs and cost.high > 0 and one.over:
        yield (
            f"the budget of {one.budget} is used up, {usd(one.spending.spent)} of {usd(one.limit)} spent today:"
            f" its work starts after {clock(one.until)}, or now with a higher {place_of(one.budget)}"
        )
    elif costs and cost.high > left:
        yield (
            f"the budget of {one.budget} has {usd(left)} of {usd(one.limit)} left today, and this takes"
            f" {usd(cost.low)} to {usd(cost.high)}: a run stops there and goes on after {clock(one.until)}"
        )
