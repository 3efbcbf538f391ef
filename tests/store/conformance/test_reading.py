"""What every store tells of results, tasks and past calls."""

from __future__ import annotations

import pytest

from laneway.errors import NotFoundError
from laneway.store.cells import Backlog
from laneway.store.interface import Store
from laneway.task import Outcome, State, Usage
from tests.store.conftest import OpenStore
from tests.store.helpers import (
    LEASE,
    NOW,
    claim,
    finish,
    new,
    run_with,
)


class TestReading:
    async def test_results_come_in_the_order_of_settlement(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1", NOW, record=b'{"x":1}'), new("b", "2", NOW + 1)])
        await store.join("w", LEASE, NOW)
        a, b = await claim(store)
        await finish(store, [b])
        await finish(store, [a])
        results = await store.results_after(run, run.cursor, 10)
        assert [result.key for result in results] == ["b", "a"]
        assert results[1].record == b'{"x":1}'
        assert [r.key for r in await store.results_after(run, results[0].seq, 10)] == ["a"]
        assert [task_id for _, task_id in await store.ended_after(0, 10)] == [b.id, a.id]
        assert await store.last_result() == results[-1].seq

    async def test_what_is_open_and_what_has_ended_is_counted(self, store: Store) -> None:
        assert await store.backlog() == Backlog(0, 0)
        await store.join("w", LEASE, NOW)
        await run_with(store, [new(name) for name in "abcd"])
        claimed = await claim(store, n=3)
        await finish(store, claimed[:1])
        await finish(store, claimed[1:2], State.FAILED)
        assert await store.backlog() == Backlog(2, 2)

    async def test_a_retried_failure_is_seen_again_after_the_cursor(self, store: Store) -> None:
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        tasks = await claim(store)
        await finish(store, tasks, State.FAILED)
        cursor = (await store.results_after(run, run.cursor, 10))[-1].seq
        await store.retry([tasks[0].id], NOW)
        await finish(store, await claim(store))
        assert [r.state for r in await store.results_after(run, cursor, 10)] == [State.SUCCEEDED]

    async def test_the_figures_are_those_of_the_ledger(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1", NOW), new("b", "2", NOW + 1), new("c", "3", NOW + 2)])
        await store.join("w", LEASE, NOW)
        a, b, c = await claim(store)
        await finish(store, [a])
        await finish(store, [b], State.FAILED)
        await finish(store, [c], State.READY, outcome=Outcome.RATE_LIMITED, burned=False, failure=None)
        await finish(store, await claim(store))
        figures = await store.figures(run)
        assert (figures.calls, figures.retries, figures.rate_limited) == (4, 1, 1)
        assert figures.outcomes == {"ok": 2, "request": 1, "rate_limited": 1}
        assert figures.outcome_costs == {"ok": pytest.approx(0.02), "request": 0, "rate_limited": 0}
        assert figures.outcome_tokens == {"ok": (180, 80), "request": (0, 0), "rate_limited": (0, 0)}
        assert (figures.input_tokens, figures.output_tokens, figures.cached_tokens) == (180, 80, 20)
        assert figures.cost_usd == pytest.approx(0.02)
        (group,) = figures.by_type
        assert (group.name, group.tasks, group.failed, group.p50_s) == ("chat", 3, 1, 0.5)
        (failure,) = figures.failures
        assert (failure.code, failure.tasks, failure.example_key) == ("bad", 1, "b")
        assert (await store.figures(run, since=NOW + 1)).calls == 0

    async def test_what_unusable_answers_cost_stands_in_the_figures(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.READY, outcome=Outcome.OUTPUT, cost=0.03)
        await finish(store, await claim(store), State.READY, outcome=Outcome.OUTPUT, cost=0.04)
        await finish(store, await claim(store), cost=None)
        costs = (await store.figures(run)).outcome_costs
        assert costs == {"output": pytest.approx(0.07), "ok": None}, "an unknown price is not 0"

    async def test_tasks_are_found_by_id_and_key(self, store: Store) -> None:
        run = await run_with(store, [new("first", tags=("vip",), team="north")])
        task = await store.find_task("first")
        assert (task.tags, task.team, task.type) == (("vip",), "north", "chat")
        assert (await store.find_task(str(task.id))).key == "first"
        assert [t.key for t in await store.get_tasks([task.id])] == ["first"]
        with pytest.raises(NotFoundError):
            await store.find_task("second")
        with pytest.raises(NotFoundError):
            await store.get_run(run.id + 1)

    async def test_a_change_by_another_process_is_noticed(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        await b.changed()
        assert not await b.changed()
        await run_with(a, [new("a")])
        assert await b.changed()
        assert not await b.changed()


class TestLookingBack:
    async def test_known_tasks_are_found_by_key_and_hash_in_their_own_run(self, store: Store) -> None:
        run = await run_with(store, [new("a"), new("b", "{1}")])
        await store.join("w", LEASE, NOW)
        await finish(store, (await claim(store))[:1])
        await run_with(store, [new("c")], identity="other.jsonl")
        known = await store.known(run, ["a", "b", "c", "d"])
        assert known == {("a", new("a").hash): State.SUCCEEDED, ("b", new("b", "{1}").hash): State.RUNNING}
        assert await store.known(run, []) == {}

    async def test_past_calls_are_a_models_newest_ended_ones(self, store: Store) -> None:
        await run_with(store, [new(f"t{i}") for i in range(5)])
        await store.join("w", LEASE, NOW)
        claimed = await claim(store)
        await finish(store, claimed[:3])
        await finish(store, claimed[3:4], State.WAITING, outcome=Outcome.RATE_LIMITED, wake_at=NOW + 9, latency=0.1)
        calls = await store.past_calls("small", 10)
        assert [call.outcome for call in calls] == [Outcome.RATE_LIMITED, *[Outcome.OK] * 3]
        assert (calls[0].usage, calls[0].latency) == (None, 0.1)
        assert calls[-1].usage == Usage(90, 40, 10)
        assert (calls[-1].type, calls[-1].account, calls[-1].input_tokens) == ("chat", "main", 100)
        assert len(await store.past_calls("small", 2)) == 2
        assert await store.past_calls("strong", 10) == []
