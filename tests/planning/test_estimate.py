"""What must hold of every estimate, whatever the work and the limits."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laneway.planning.demand import Amount, Demand, Way
from laneway.planning.estimate import Estimate, Setting, estimate
from laneway.planning.history import History
from laneway.providers.model import Account, Limits, Model
from laneway.store.figures import PastCall
from laneway.task import NewTask, Outcome, Route, Spec, Urgency, Usage, Wire

LIMITS = tuple(field.name for field in dataclasses.fields(Limits))


def account(name: str = "main", **more: Any) -> Account:
    return Account(name, "openai", Wire.CHAT, "https://api.example.com/v1", **more)


def model(name: str = "small", *accounts: Account, price: float | None = 1.0, **more: Any) -> Model:
    prices = {"input_price": price, "output_price": None if price is None else 4 * price}
    return Model(name, name, accounts or (account(),), **{**prices, **more})


def way(name: str = "small", **more: Any) -> Way:
    fields: dict[str, Any] = {"lane": "general", "urgency": Urgency.STANDARD, "fallbacks": (), "type": "chat"}
    return Way(model=name, **{**fields, "bounded": True, "structured": False, **more})


def amount(tasks: int = 100, tokens: int = 200, answer: int = 100, **more: int) -> Amount:
    return Amount(tasks, tokens * tasks, answer * tasks, **more)


def plan(ways: dict[Way, Amount], *models: Model, history: History | None = None, **more: Any) -> Estimate:
    return estimate(ways, Setting({one.name: one for one in models or (model(),)}, **more), history)


def past(n: int = 100, latency: float = 1.0, tokens: int = 40, **more: Any) -> History:
    fields: dict[str, Any] = {"model": "small", "type": "chat", "account": "main", "outcome": Outcome.OK, **more}
    return History(
        PastCall(started_at=i * latency, latency=latency, input_tokens=200, usage=Usage(200, tokens), **fields)
        for i in range(n)
    )


# properties -------------------------------------------------------------------------------------------------------
amounts = st.builds(
    amount, st.integers(1, 5000), st.integers(1, 20_000), st.integers(1, 5000), long_tokens=st.integers(0, 1000)
)
limits = st.fixed_dictionaries(
    {}, optional={name: st.integers(1, 1000) if name == "concurrency" else st.floats(1, 1e7) for name in LIMITS}
)
ways = st.dictionaries(
    st.builds(
        way,
        st.sampled_from(["small", "strong"]),
        lane=st.sampled_from(["general", "legal"]),
        urgency=st.sampled_from(list(Urgency)),
        bounded=st.booleans(),
        structured=st.booleans(),
        fallbacks=st.sampled_from([(), ("strong",)]),
    ),
    amounts,
    min_size=1,
    max_size=4,
)
histories = st.sampled_from([None, past(), past(6, 0.2, 3), past(50, 5.0, 900)])


def both(first: dict[str, Any], second: dict[str, Any]) -> tuple[Model, Model]:
    one = account(limits=Limits(**first), charges_max_tokens=True)
    other = account("second", limits=Limits(**second))
    return model("small", one), model("strong", one, other, price=10.0)


@settings(max_examples=60, deadline=None)
@given(ways, limits, limits, histories)
def test_ranges_are_ordered_and_finite(
    ways: dict[Way, Amount], first: dict[str, Any], second: dict[str, Any], history: History | None
) -> None:
    found = plan(ways, *both(first, second), history=history)
    assert found.cost is not None
    for one in (found.seconds, found.cost, found.sequential_s, found.input_tokens, found.output_tokens):
        assert 0 <= one.low <= one.high < 1e18
    assert found.seconds.low > 0
    assert found.cost.low > 0


@settings(max_examples=60, deadline=None)
@given(ways, ways, limits, histories)
def test_more_tasks_never_cost_less(
    ways: dict[Way, Amount], more: dict[Way, Amount], first: dict[str, Any], history: History | None
) -> None:
    together = {one: _sum(ways.get(one), more.get(one)) for one in {**ways, **more}}
    some = plan(ways, *both(first, {}), history=history)
    all_of_them = plan(together, *both(first, {}), history=history)
    assert some.cost is not None
    assert all_of_them.cost is not None
    assert all_of_them.cost.low >= some.cost.low * (1 - 1e-9)
    assert all_of_them.cost.high >= some.cost.high * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(ways, st.integers(2, 5), limits, histories)
def test_more_of_the_same_never_takes_less_time(
    ways: dict[Way, Amount], times: int, first: dict[str, Any], history: History | None
) -> None:
    several = {one: _times(much, times) for one, much in ways.items()}
    once, more = (plan(of, *both(first, {}), history=history).seconds for of in (ways, several))
    assert more.low >= once.low * 0.999
    assert more.high >= once.high * 0.999


@settings(max_examples=60, deadline=None)
@given(ways, limits, st.sampled_from(LIMITS), st.floats(0.01, 0.9), histories)
def test_a_tighter_limit_never_makes_it_faster(
    ways: dict[Way, Amount], first: dict[str, Any], name: str, factor: float, history: History | None
) -> None:
    loose = {"concurrency": 100, **first}
    loose.setdefault(name, 1e6)
    tight = {**loose, name: loose[name] * factor}
    tight["concurrency"] = max(1, int(tight["concurrency"]))
    before, after = (plan(ways, *both(of, {}), history=history).seconds for of in (loose, tight))
    assert after.low >= before.low * 0.999
    assert after.high >= before.high * 0.999


def _sum(one: Amount | None, other: Amount | None) -> Amount:
    given = [much for much in (one, other) if much]
    return Amount(*(sum(getattr(much, f.name) for much in given) for f in dataclasses.fields(Amount)))


def _times(much: Amount, n: int) -> Amount:
    return Amount(*(getattr(much, f.name) * n for f in dataclasses.fields(Amount)))


# single truths ----------------------------------------------------------------------------------------------------
def test_an_unknown_price_is_unknown_and_named() -> None:
    found = plan({way(): amount(), way("odd"): amount()}, model(), model("odd", price=None))
    assert found.cost is None
    assert found.unpriced == ("odd",)
    assert found.cost_known.low > 0


def test_the_limit_that_binds_is_named_as_a_run_names_it() -> None:
    rate = account(limits=Limits(requests_per_minute=60))
    assert plan({way(): amount()}, model("small", rate)).bound_by == "main: requests_per_minute"
    slots = account(limits=Limits(concurrency=2))
    assert plan({way(): amount()}, model("small", slots)).bound_by == "main: concurrency"
    lane = plan({way(lane="legal"): amount()}, model("small", slots), lanes={"legal": 1})
    assert lane.bound_by == "lane legal"
    assert plan({way(): amount()}, model("small", slots), slots=1).bound_by == "concurrency"
    assert plan({way(): amount(5)}, model("small", account(limits=Limits(concurrency=50)))).bound_by is None


def test_history_narrows_what_is_expected() -> None:
    models = model("small", account(limits=Limits(concurrency=10)))
    cold, warm = plan({way(): amount()}, models), plan({way(): amount()}, models, history=past())
    assert cold.cost is not None
    assert warm.cost is not None
    assert warm.cost.high / warm.cost.low < 1.5 < cold.cost.high / cold.cost.low
    assert warm.seconds.high / warm.seconds.low < 2 < cold.seconds.high / cold.seconds.low
    assert warm.seconds.low < 10.0 < warm.seconds.high  # 100 calls of 1 s, 10 at once


def test_the_models_other_types_say_how_long_calls_take_but_not_how_long_answers_are() -> None:
    cold = plan({way(type="review"): amount()}).ways[0]
    other = plan({way(type="review"): amount()}, history=past(latency=0.1)).ways[0]
    assert other.other_types
    assert other.output_tokens.high == pytest.approx(cold.output_tokens.high, rel=0.05)
    assert other.call_s.high < cold.call_s.low * 2


def test_a_bound_on_the_answer_is_never_passed() -> None:
    found = plan({way(): amount(100, answer=50)}, history=past(tokens=400))
    assert found.output_tokens.high <= 50 * 100 * 1.2, "retries apart"


def test_a_model_that_bounds_its_answers_itself_is_believed() -> None:
    free = {way(bounded=False): amount(answer=256)}
    found = plan(free, model(params={"max_tokens": 20}))
    assert found.output_tokens.high <= 20 * 100 * 1.05 + 1e-6


def test_retries_may_cost_what_the_dearest_fallback_costs() -> None:
    models = (model(), model("strong", price=50.0))
    alone = plan({way(): amount()}, *models)
    with_fallback = plan({way(fallbacks=("strong",)): amount()}, *models)
    assert alone.cost is not None
    assert with_fallback.cost is not None
    assert with_fallback.cost.low == alone.cost.low
    assert with_fallback.cost.high > alone.cost.high * 1.5


def test_a_full_minute_may_go_at_once_where_a_provider_shows_it_but_not_on_this_machine() -> None:
    limited = model("small", account(limits=Limits(requests_per_minute=100)))
    assert plan({way(): amount(100)}, limited).seconds.low < 10
    assert plan({way(): amount(100)}, limited, local=lambda _: True).seconds.low > 55
    assert plan({way(): amount(100)}, limited).seconds.high > 60


def test_everything_on_another_model() -> None:
    found = plan({way(): amount()})
    strong = found.cost_on(model("strong", price=10.0))
    assert strong is not None
    assert found.cost is not None
    assert strong.high == pytest.approx(10 * found.cost.high)
    assert found.cost_on(model("odd", price=None)) is None


def test_nothing_to_do_takes_nothing() -> None:
    found = plan({})
    assert (found.seconds.high, found.bound_by, found.sequential_s.high) == (0.0, None, 0.0)
    assert found.cost is not None
    assert found.cost.high == 0.0


def test_demand_counts_tasks_that_go_the_same_way_together() -> None:
    demand = Demand()
    route = Route("general", Urgency.STANDARD, "small")
    for body in (b'{"max_tokens":5}', b'{"max_completion_tokens":5}', b'{"messages":"say \\"max_tokens\\":"}'):
        demand.add(NewTask(body, Spec("chat", Wire.CHAT), route, 0.0, input_tokens=2000, output_tokens=5))
    schema = Spec("chat", Wire.CHAT, output_schema={"type": "object", "properties": {"answer": {"type": "string"}}})
    demand.add(NewTask(b"{}", schema, route, 0.0, input_tokens=10, output_tokens=5))
    found = {(one.bounded, one.structured): much for one, much in demand.ways.items()}
    assert {place: much.tasks for place, much in found.items()} == {
        (True, False): 2,
        (False, False): 1,
        (False, True): 1,
    }
    assert found[True, False].long_tokens == 4000
    assert found[False, True].schema_tokens > 10
