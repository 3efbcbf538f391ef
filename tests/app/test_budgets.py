"""Which budgets a config sets, and whether they can be kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from laneway.app.budgets import Way, check_prices, limits_of
from laneway.app.standing import Standing, accounts_of, holding, is_on
from laneway.config.models import Config
from laneway.errors import BudgetError
from laneway.providers.catalog import Catalog
from laneway.store.budgets import PROJECT, Budget, BudgetKind, Spending
from laneway.task import State, Task, WaitReason, Wire

LANE = Budget(BudgetKind.LANE, "legal")
TYPE = Budget(BudgetKind.TYPE, "chat")
MAIN = Budget(BudgetKind.ACCOUNT, "main")


def config_with(*budgets: Budget) -> Config:
    amount = {"budget_per_day": 5.0}
    return Config.model_validate(
        {
            **(amount if PROJECT in budgets else {}),
            "accounts": {"main": amount if MAIN in budgets else {}, "second": {}},
            "lanes": {"legal": amount if LANE in budgets else {}},
            "types": {"chat": amount} if TYPE in budgets else {},
            "models": {
                "small": {"account": "main", "id": "small", "input_price": 1, "output_price": 1},
                "free": {"accounts": ["main", "second"], "id": "free-7b"},
            },
        }
    )


@pytest.mark.parametrize("budget", [PROJECT, MAIN, LANE, TYPE], ids=str)
def test_what_a_budget_is_on_needs_prices(budget: Budget) -> None:
    config = config_with(budget)
    assert limits_of(config) == {budget: 5.0}
    catalog = Catalog(config, {"OPENAI_API_KEY": "k"})
    check_prices(config, catalog, [Way("small", "legal", "chat")])
    with pytest.raises(BudgetError, match="there is none for free") as caught:
        check_prices(config, catalog, [Way("small", "legal", "chat"), Way("free", "legal", "chat")])
    assert f"the budget of {budget} needs" in caught.value.message
    assert "[models.free]" in caught.value.hint
    if budget in (LANE, TYPE):
        check_prices(config, catalog, [Way("free", "general", "other")])


def test_without_budgets_prices_are_nobodys_affair() -> None:
    config = config_with()
    assert limits_of(config) == {}
    check_prices(config, Catalog(config, {}), [Way("free", "legal", "chat")])


def test_which_budgets_hold_a_task() -> None:
    config = config_with(PROJECT, MAIN, LANE, TYPE)

    def held(state: State, wait_reason: WaitReason | None = None, **more: Any) -> list[Budget]:
        fields = {"lane": "legal", "type": "chat", "model": "small", "wire": Wire.CHAT, **more}
        task = cast(Task, SimpleNamespace(state=state, wait_reason=wait_reason, **fields))
        found = [Standing(budget, 5.0, Spending(5.0), 0.0) for budget in (PROJECT, MAIN, LANE, TYPE)]
        return [one.budget for one in holding(config, task, found)]

    assert held(State.READY) == [PROJECT, MAIN, LANE, TYPE]
    assert held(State.READY, lane="general", type="other") == [PROJECT, MAIN]
    assert held(State.WAITING, WaitReason.BUDGET) == [TYPE]
    assert held(State.WAITING, WaitReason.RETRY) == held(State.RUNNING) == held(State.SUCCEEDED) == []
    assert held(State.RUNNING, model="", wire=Wire.PYTHON) == [PROJECT, LANE, TYPE]  # its own calls wait


def test_what_counts_for_which() -> None:
    config = config_with(PROJECT, MAIN, LANE, TYPE)
    assert accounts_of(config, "free") == ("main", "second")
    assert accounts_of(config, "") == ()
    here = [budget for budget in (PROJECT, MAIN, LANE, TYPE) if is_on(config, budget, "legal", "chat", "small")]
    assert here == [PROJECT, MAIN, LANE, TYPE]
    assert [b for b in (PROJECT, MAIN, LANE, TYPE) if is_on(config, b, "general", "other", "")] == [PROJECT]


@pytest.mark.parametrize("value", [-1, True, "much", float("inf")])
def test_a_budget_is_an_amount(value: object) -> None:
    with pytest.raises(ValueError, match="budget_per_day"):
        Config.model_validate({"lanes": {"legal": {"budget_per_day": value}}})


def test_a_type_with_a_budget_alone_is_no_prompt() -> None:
    config = Config.model_validate({"types": {"work": {"budget_per_day": 1}, "ask": {"prompt": "ask.j2"}}})
    assert list(config.prompt_types) == ["ask"]
