"""What every store tells of a run of flows: its books with those of all that the flows began."""

from __future__ import annotations

import pytest

from laneway.store.flows import Suspension
from laneway.store.interface import Store
from laneway.task import Attempt, Outcome, State, Usage
from tests.store.conformance.test_flows import begin, child, flow, of_names, suspend
from tests.store.helpers import NOW, claim, finish, open_run, settlement


async def done(store: Store, names: tuple[str, ...] = ("a", "b"), cost: float | None = 0.01) -> int:
    """A flow with these children, all ended well. Returns its run."""
    run, (task,) = await begin(store)
    await suspend(store, task, of_names(*names, parent=task.id))
    children = await claim(store)
    await store.settle("w", [settlement(one, cost=cost, parent=task.id) for one in children], NOW)
    (again,) = await claim(store, now=NOW + 3)
    end = settlement(again, usage=None, cost=None, flow=Suspension(1, NOW, ended=True))
    await store.settle("w", [end], NOW + 3)
    return run.id


class TestTheFiguresOfARun:
    async def test_hold_what_its_flows_began(self, store: Store) -> None:
        figures = await store.figures(await store.get_run(await done(store)))
        assert (figures.calls, figures.retries, figures.input_tokens) == (2, 0, 180)
        assert figures.cost_usd == pytest.approx(0.02)
        assert figures.cost_unknown_tasks == 0
        assert figures.outcomes == {"ok": 2}, "a flow's steps are no calls"
        assert figures.sequential_seconds == pytest.approx(1.0)
        assert {group.name: (group.tasks, group.p50_s) for group in figures.by_type} == {
            "a": (1, 0.5),
            "b": (1, 0.5),
            "report": (1, pytest.approx(3.0)),
        }, "a flow takes from its first step to its end"
        costs = {group.name: group.cost_usd for group in figures.by_type}
        assert costs == {"a": pytest.approx(0.01), "b": pytest.approx(0.01), "report": 0.0}
        assert {group.name: group.tasks for group in figures.by_model} == {"small": 2}

    async def test_say_by_model_what_functions_called(self, store: Store) -> None:
        run, (task,) = await begin(store)
        await suspend(store, task, Suspension(0, NOW, begun=[child("work", task.id, model="")]))
        (work,) = await claim(store)
        for call, outcome in ((1000, Outcome.RATE_LIMITED), (1001, Outcome.OK), (2000, Outcome.OK)):
            cost = 0.03 if outcome is Outcome.OK else 0.0
            of = (work.id, work.fence, call, "strong", "main", NOW, None)
            assert await store.record_call("w", Attempt(*of, None, None, None, None, None, None, None), run.id)
            line = Attempt(*of, outcome, 2.0, Usage(10, 5), 1.0, 1.0, cost, None)
            assert await store.record_call("w", line, run.id)
        await finish(store, [work], usage=None, cost=None, parent=task.id)
        figures = await store.figures(run)
        assert (figures.calls, figures.retries) == (3, 1), "its second call is no retry"
        (strong,) = figures.by_model
        assert (strong.name, strong.tasks, strong.p50_s) == ("strong", 1, 2.0)
        assert strong.cost_usd == pytest.approx(0.06)
        assert {one.name: one.cost_usd for one in figures.by_type}["work"] == pytest.approx(0.06)

    async def test_leave_out_those_of_flows_that_left_the_run(self, store: Store) -> None:
        run, (task,) = await begin(store)
        await suspend(store, task, of_names("a", parent=task.id))
        run = await open_run(store)
        await store.submit(run, [flow("other")], NOW, held=True)
        await store.seal_run(run, NOW)
        assert [group.name for group in (await store.figures(run)).by_type] == ["report"]


class TestTheResultOfAFlow:
    async def test_costs_what_all_of_it_cost_and_names_no_model(self, store: Store) -> None:
        run = await store.get_run(await done(store))
        (result,) = await store.results_after(run, 0, 10)
        assert result.model == ""
        assert result.cost == pytest.approx(0.02)

    async def test_costs_nobody_knows_what_when_a_price_is_unknown(self, store: Store) -> None:
        run = await store.get_run(await done(store, cost=None))
        (result,) = await store.results_after(run, 0, 10)
        assert result.cost is None

    async def test_of_one_that_was_cancelled_before_it_began_has_no_model(self, store: Store) -> None:
        run = await open_run(store)
        (id_,) = (await store.submit(run, [flow()], NOW)).ids
        await store.cancel([id_], NOW)
        (result,) = await store.failed_after(run, 0, 10)
        assert (result.state, result.model, result.cost) == (State.CANCELLED, "", None)
