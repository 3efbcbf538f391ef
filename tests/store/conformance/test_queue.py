"""What every store promises of the queue: looking, claiming, settling."""

from __future__ import annotations

import pytest

from laneway.store.cells import Pick
from laneway.store.interface import Store
from laneway.store.steering import Change, Selector
from laneway.task import Outcome, Route, State, Urgency, Usage
from tests.store.conftest import OpenStore
from tests.store.helpers import (
    LEASE,
    NOW,
    claim,
    counts,
    finish,
    new,
    open_run,
    run_with,
    settlement,
    sound,
)


class TestTheQueue:
    async def test_the_earliest_due_goes_first_and_ties_by_age(self, store: Store) -> None:
        await run_with(store, [new("c", "1", NOW + 3), new("a", "2", NOW + 1), new("b", "3", NOW + 1)])
        await store.join("w", LEASE, NOW)
        assert [task.key for task in await claim(store, n=2)] == ["a", "b"]
        assert [task.key for task in await claim(store, n=2)] == ["c"]

    async def test_peek_shows_sizes_up_to_its_depth(self, store: Store) -> None:
        await run_with(store, [new(str(i), str(i), NOW + i, input_tokens=i) for i in range(5)])
        (head,) = await store.peek(NOW, depth=3)
        assert head.ready == 5
        assert head.sizes == ((NOW, 0, 50), (NOW + 1, 1, 50), (NOW + 2, 2, 50))

    async def test_peek_shows_more_of_the_cells_of_which_more_is_wanted(self, store: Store) -> None:
        legal = Route("legal", Urgency.URGENT, "small")
        await run_with(store, [new(str(i)) for i in range(9)] + [new(f"l{i}", route=legal) for i in range(9)])
        one, other = await store.peek(NOW, depth=2)
        seen = await store.peek(NOW, depth=2, deeper={one.cell_id: 5})
        assert {head.cell_id: len(head.sizes) for head in seen} == {one.cell_id: 5, other.cell_id: 2}

    async def test_peek_shows_the_cells_that_are_due_first_of_several_runs(self, store: Store) -> None:
        late = await run_with(store, [new("a", due=NOW + 9)], identity="late")
        soon = await run_with(store, [new("a", due=NOW + 1)], identity="soon")
        legal = await run_with(store, [new("a", route=Route("legal", Urgency.URGENT, "small"))], identity="legal")
        seen = await store.peek(NOW, depth=2, most=1)
        assert {head.run_id for head in seen} == {soon.id, legal.id}
        await store.cancel(await store.select(Selector(run_id=soon.id)), NOW)
        assert {head.run_id for head in await store.peek(NOW, depth=2, most=1)} == {late.id, legal.id}

    async def test_peek_follows_what_anybody_changes(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        run = await run_with(a, [new(str(i), str(i), NOW + i) for i in range(5)])
        await a.join("a", LEASE, NOW)
        assert [head.ready for head in await b.peek(NOW, depth=2)] == [5]
        taken = await claim(a, "a", n=2)
        (head,) = await b.peek(NOW, depth=2)
        assert (head.ready, head.sizes[0][0]) == (3, NOW + 2)
        await finish(a, taken, State.READY, "a")
        (head,) = await b.peek(NOW, depth=2)
        assert (head.ready, head.sizes[0][0]) == (5, NOW)
        await a.adjust(await a.select(Selector(run_id=run.id)), Change(urgency=Urgency.URGENT), NOW)
        assert [(head.urgency, head.ready) for head in await b.peek(NOW, depth=2)] == [(Urgency.URGENT, 5)]
        await a.cancel(await a.select(Selector(run_id=run.id)), NOW)
        assert await b.peek(NOW, depth=2) == await a.peek(NOW, depth=2) == []

    async def test_peek_of_one_run_leaves_others_out(self, store: Store) -> None:
        one = await run_with(store, [new("a")], identity="one")
        await run_with(store, [new("a"), new("b", "{1}")], identity="two")
        assert [head.run_id for head in await store.peek(NOW, depth=1, run_id=one.id)] == [one.id]
        assert len(await store.peek(NOW, depth=1)) == 2

    async def test_two_workers_never_get_the_same_task(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        await run_with(a, [new(str(i), str(i)) for i in range(10)])
        await a.join("a", LEASE, NOW)
        await b.join("b", LEASE, NOW)
        (head,) = await b.peek(NOW, depth=10)
        first = await a.claim("a", [Pick(head.cell_id, 6)], NOW)
        second = await b.claim("b", [Pick(head.cell_id, 6)], NOW)
        assert (len(first), len(second)) == (6, 4)
        assert not {task.id for task in first} & {task.id for task in second}

    async def test_the_claim_writes_the_attempt_with_what_it_reserves(self, store: Store) -> None:
        await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        (task,) = await claim(store, price=2.0)
        (attempt,) = await store.attempts(task.id)
        assert attempt.outcome is None
        assert attempt.account == "main"
        assert attempt.reserved_cost == pytest.approx(150 * 2.0 / 1e6)
        assert task.body == b"{}"
        assert task.route.fallbacks == ("strong",)

    async def test_settling_closes_task_attempt_and_books(self, store: Store) -> None:
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        (task,) = await claim(store)
        assert await finish(store, [task]) == [True]
        found = await store.find_task("a")
        assert (found.state, found.output) == (State.SUCCEEDED, b'{"ok":1}')
        (attempt,) = await store.attempts(task.id)
        assert (attempt.outcome, attempt.usage, attempt.cost) == (Outcome.OK, Usage(90, 40, 10), 0.01)
        assert (await store.get_run(run.id)).spent == pytest.approx(0.01)
        await sound(store)

    async def test_a_task_may_end_with_the_answer_of_an_earlier_model(self, store: Store) -> None:
        """Its last call failed: that stands in the ledger, and not in the result."""
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        (task,) = await claim(store)
        first = settlement(task, State.READY, model="strong", complaint="it is weak")
        first.outcome, first.cost, first.burned, first.counted = Outcome.ESCALATED, 0.01, False, False
        await store.settle("w", [first], NOW)
        (task,) = await claim(store)
        assert (task.model, task.attempts, task.refusals, task.complaint) == ("strong", 0, 0, "it is weak")
        last = settlement(task, State.FAILED, output=b'{"ok":1}', model="small")
        last.state = State.SUCCEEDED
        assert await store.settle("w", [last], NOW) == [True]
        (result,) = await store.results_after(run, run.cursor, 10)
        assert (result.state, result.model, result.output, result.error) == (
            State.SUCCEEDED,
            "small",
            b'{"ok":1}',
            None,
        )
        assert result.cost == pytest.approx(0.01)
        lines = [(line.outcome, line.error and line.error["code"]) for line in await store.attempts(task.id)]
        assert lines == [(Outcome.ESCALATED, "bad"), (Outcome.REQUEST, "bad")]
        figures = await store.figures(run)
        assert figures.failures == ()
        assert figures.outcome_costs["escalated"] == pytest.approx(0.01)
        assert {group.name: group.tasks for group in figures.by_model} == {"small": 1}
        await sound(store)

    async def test_answers_that_were_put_aside_become_results_where_nobody_goes_on(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1", NOW), new("b", "2", NOW + 1), new("c", "3", NOW + 2)])
        await store.join("w", LEASE, NOW)
        tasks = await claim(store)
        complaint = (
            '{"model":"small","code":"escalated","fault":"weak","kept":{"model":"small","output":"{\\"ü\\":1}"}}'
        )
        for task, words in zip(tasks, (complaint, '{"kept":{}}', None), strict=True):
            one = settlement(task, State.READY, model="strong", complaint=words, cost=0.01)
            await store.settle("w", [one], NOW)
        assert await store.settle_kept(run.id, NOW + 5) == 1
        assert await store.settle_kept(run.id, NOW + 5) == 0
        (result,) = await store.results_after(run, run.cursor, 10)
        assert (result.key, result.state, result.model, result.error) == ("a", State.SUCCEEDED, "small", None)
        assert (result.output, result.settled_at) == ('{"ü":1}'.encode(), NOW + 5)
        assert result.cost == pytest.approx(0.01)
        assert await counts(store, run) == {State.SUCCEEDED: 1, State.READY: 2}
        await sound(store)

    async def test_a_settlement_counts_once(self, store: Store) -> None:
        await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        (task,) = await claim(store)
        assert await finish(store, [task]) == [True]
        assert await finish(store, [task]) == [False]
        await sound(store)

    async def test_what_is_settled_together_ends_or_goes_on_each_in_its_own_way(self, store: Store) -> None:
        run = await run_with(store, [new(name, name, NOW + i) for i, name in enumerate("abcdef")])
        await store.join("w", LEASE, NOW)
        (tried,) = await claim(store, n=1)
        await finish(store, [tried], State.READY, cost=0.25)
        a, b, c, d, e, f = await claim(store)
        await store.cancel([c.id, d.id], NOW)
        await finish(store, [f])
        settled = [
            settlement(f),
            settlement(e, State.FAILED, cost=0.5),
            settlement(d),
            settlement(c, State.WAITING, wake_at=NOW + 5),
            settlement(b, output=None, cost=None),
            settlement(b),
            settlement(a),
        ]
        assert await store.settle("w", settled, NOW) == [False, True, True, True, True, False, True]
        results = {result.key: result for result in await store.results_after(run, run.cursor, 10)}
        assert {key: (one.state.value, one.cost, one.output) for key, one in results.items()} == {
            "a": ("succeeded", pytest.approx(0.26), b'{"ok":1}'),
            "b": ("succeeded", None, None),
            "d": ("succeeded", 0.01, b'{"ok":1}'),
            "e": ("failed", 0.5, None),
            "f": ("succeeded", 0.01, b'{"ok":1}'),
            "c": ("cancelled", pytest.approx(0.0), None),
        }
        assert (await store.get_run(run.id)).spent == pytest.approx(0.78)
        assert [one.outcome for task in (e, b) for one in await store.attempts(task.id)] == [
            Outcome.REQUEST,
            Outcome.OK,
        ]
        assert await counts(store, run) == {State.SUCCEEDED: 4, State.FAILED: 1, State.CANCELLED: 1}
        await sound(store)

    async def test_an_answer_to_an_earlier_claim_of_the_same_worker_is_refused(self, store: Store) -> None:
        await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        early = await claim(store)
        await store.leave("w", NOW)
        await store.join("w", LEASE, NOW)
        again = await claim(store)
        assert await finish(store, early) == [False]
        assert (await store.find_task("a")).state is State.RUNNING
        assert await finish(store, again) == [True]
        await sound(store)

    async def test_a_retry_waits_and_comes_back_with_its_count(self, store: Store) -> None:
        await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.WAITING, wake_at=NOW + 5)
        assert await claim(store) == []
        assert await store.wake(NOW) == NOW + 5
        await store.wake(NOW + 5)
        (task,) = await claim(store, now=NOW + 5)
        assert (task.attempts, task.refusals, task.fence) == (1, 0, 2)
        await sound(store)

    async def test_a_task_knows_when_its_first_call_began_until_it_starts_over(self, store: Store) -> None:
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        (first,) = await claim(store, now=NOW + 3)
        assert first.begun_at == first.claimed_at == NOW + 3
        await finish(store, [first], State.READY, burned=False, outcome=Outcome.RATE_LIMITED)
        (second,) = await claim(store, now=NOW + 9)
        assert (second.begun_at, second.claimed_at) == (NOW + 3, NOW + 9)
        await finish(store, [second], State.READY, burned=False, outcome=Outcome.ACCOUNT)
        (after_the_account,) = await claim(store, now=NOW + 20)
        assert after_the_account.begun_at == NOW + 20
        await finish(store, [after_the_account], State.FAILED)
        await store.retry([after_the_account.id], NOW + 30)
        (by_hand,) = await claim(store, now=NOW + 40)
        assert by_hand.begun_at == NOW + 40
        await finish(store, [by_hand], State.READY, burned=False, outcome=Outcome.TRANSIENT)
        run = await open_run(store)
        await store.submit(run, [new("a")], NOW + 50, held=True)
        await store.seal_run(run, NOW + 50)
        (submitted_again,) = await claim(store, now=NOW + 60)
        assert submitted_again.begun_at == NOW + 60
        await sound(store)

    async def test_an_unburned_retry_counts_as_a_refusal(self, store: Store) -> None:
        await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.READY, burned=False, outcome=Outcome.RATE_LIMITED)
        (task,) = await claim(store)
        assert (task.attempts, task.refusals) == (0, 1)

    async def test_a_fallback_moves_the_task_to_the_other_model_with_its_count(self, store: Store) -> None:
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.READY, model="strong", outcome=Outcome.REQUEST)
        (task,) = await claim(store)
        assert (task.model, task.attempts) == ("strong", 1)
        await finish(store, [task])
        assert await counts(store, run) == {State.SUCCEEDED: 1}
        assert [attempt.model for attempt in await store.attempts(task.id)] == ["small", "strong"]
        await sound(store)

    async def test_a_complaint_reaches_the_next_attempt(self, store: Store) -> None:
        await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.READY, complaint="not JSON", outcome=Outcome.OUTPUT)
        assert [task.complaint for task in await claim(store)] == ["not JSON"]


class TestBudgets:
    async def test_claims_stop_where_the_budget_would_be_passed(self, store: Store) -> None:
        cost = 150 * 1.0 / 1e6
        run = await run_with(store, [new(str(i), str(i)) for i in range(10)], max_cost=3.5 * cost)
        await store.join("w", LEASE, NOW)
        tasks = await claim(store)
        assert len(tasks) == 3
        assert await claim(store) == []
        await finish(store, tasks, cost=cost / 10)
        assert len(await claim(store)) == 3
        assert (await store.get_run(run.id)).spent == pytest.approx(0.3 * cost)

    async def test_a_budget_holds_also_where_the_run_had_none_before(self, store: Store) -> None:
        cost = 150 * 1.0 / 1e6
        tasks = [new(str(i), str(i)) for i in range(9)]
        await run_with(store, tasks)
        await store.join("w", LEASE, NOW)
        assert len(await claim(store, n=2)) == 2
        await run_with(store, tasks, max_cost=5.5 * cost)
        assert len(await claim(store)) == 3
        assert await claim(store) == []

    async def test_a_new_budget_begins_only_after_a_stop_by_the_old_one(self, store: Store) -> None:
        cost = 150 * 1.0 / 1e6
        tasks = [new(str(i), str(i)) for i in range(4)]
        run = await run_with(store, tasks, max_cost=2 * cost)
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), cost=cost)
        run = await run_with(store, tasks, max_cost=2 * cost)  # as after a crash
        assert await claim(store) == []
        assert run.budget_spent == pytest.approx(2 * cost)
        await store.end_budget(run.id)
        await run_with(store, tasks, max_cost=2 * cost)
        assert len(await claim(store)) == 2


class TestCancelling:
    async def test_ready_tasks_end_and_running_ones_are_not_tried_again(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1", NOW), new("b", "2", NOW + 1)])
        await store.join("w", LEASE, NOW)
        (running,) = await claim(store, n=1)
        ready = await store.find_task("b")
        assert await store.cancel([running.id, ready.id], NOW) == 2
        await finish(store, [running], State.WAITING, wake_at=NOW + 1)
        assert await counts(store, run) == {State.CANCELLED: 2}
        assert len(await store.failed_after(run, 0, 10)) == 2
        await sound(store)

    async def test_an_answer_that_comes_is_kept(self, store: Store) -> None:
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        tasks = await claim(store)
        await store.cancel([tasks[0].id], NOW)
        await finish(store, tasks)
        assert await counts(store, run) == {State.SUCCEEDED: 1}

    async def test_failed_tasks_can_be_retried(self, store: Store) -> None:
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        tasks = await claim(store)
        await finish(store, tasks, State.FAILED)
        assert await store.retry([tasks[0].id], NOW) == 1
        assert await store.retry([tasks[0].id], NOW) == 0
        await finish(store, await claim(store))
        assert await counts(store, run) == {State.SUCCEEDED: 1}
        assert await store.failed_after(run, 0, 10) == []
        await sound(store)
