"""The config's budgets a day: what they are on, and whether they can be kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from laneway.store.budgets import PROJECT, Budget, BudgetKind
from laneway.task import needs_account

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.providers.catalog import Catalog
    from laneway.task import NewTask


def limits_of(config: Config) -> dict[Budget, float]:
    """USD a day."""
    found = {} if config.budget_per_day is None else {PROJECT: config.budget_per_day}
    for kind, sections in (
        (BudgetKind.ACCOUNT, config.accounts),
        (BudgetKind.LANE, config.lanes),
        (BudgetKind.TYPE, config.types),
    ):
        for name, section in sections.items():
            if section.budget_per_day is not None:
                found[Budget(kind, name)] = section.budget_per_day
    return found


class Way(NamedTuple):
    """What tasks cost money through."""

    model: str
    lane: str
    type: str


def ways_of(task: NewTask) -> Iterable[Way]:
    """One for each model of its route. A Python task chooses its models itself."""
    models = (task.route.model, *task.route.fallbacks) if needs_account(task.route.model) else ()
    return (Way(model, task.route.lane, task.spec.type) for model in models)


def check_prices(config: Config, catalog: Catalog, ways: Iterable[Way]) -> None:
    """Raises BudgetError when a budget is on what has no price; its hint is what to write into the config."""
    limits = limits_of(config)
    if not limits:
        return
    from laneway.app.runs.price_lines import price_lines
    from laneway.errors import BudgetError

    catalog.load_prices()
    ways = set(ways)
    models = [catalog.model(name) for name in sorted({way.model for way in ways})]
    bare = {model.name: model for model in models if model.input_price is None or model.output_price is None}
    unkept = {
        (budget, way.model)
        for way in ways
        if way.model in bare
        for budget in limits
        if budget in (PROJECT, Budget(BudgetKind.LANE, way.lane), Budget(BudgetKind.TYPE, way.type))
        or budget in [Budget(BudgetKind.ACCOUNT, account.name) for account in bare[way.model].accounts]
    }
    if unkept:
        budgets = ", ".join(sorted({str(budget) for budget, _ in unkept}))
        names = sorted({name for _, name in unkept})
        raise BudgetError(
            f"the budget of {budgets} needs a price for every model; there is none for {', '.join(names)}",
            hint=price_lines(config, models, [bare[name] for name in names]),
        )
