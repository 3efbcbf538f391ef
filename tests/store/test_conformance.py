"""What every store promises. Nothing here knows which store it is."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.errors import ConflictError, NotFoundError
from laneway.store.interface import Capacity, Pick, Run, Store
from laneway.store.steering import Change, Pause, PauseKind, Selector, Waiting
from laneway.task import Failure, FailureClass, NewTask, Outcome, Route, Spec, State, Urgency, Usage, WaitReason, Wire
from tests.store.conftest import OpenStore
from tests.store.helpers import (
    LEASE,
    NOW,
    PYTHON,
    claim,
    counts,
    finish,
    new,
    open_run,
    run_with,
    settlement,
    sound,
)


class TestSubmitting:
    async def test_tasks_wait_until_their_run_is_sealed(self, store: Store) -> None:
        run = await open_run(store)
        done = await store.submit(run, [new("a"), new("b", "{1}")], NOW, held=True)
        assert done.new == 2
        assert await store.peek(NOW, depth=10) == []
        assert (await store.seal_run(run, NOW)).opened == 2
        assert [head.ready for head in await store.peek(NOW, depth=10)] == [2]
        await sound(store)

    async def test_a_key_that_comes_twice_is_one_task(self, store: Store) -> None:
        run = await open_run(store)
        done = await store.submit(run, [new("a"), new("a"), new("b", "{1}")], NOW)
        assert (done.new, done.duplicates, done.conflicts) == (2, 1, [])
        assert done.ids[0] == done.ids[1]
        again = await store.submit(run, [new("a")], NOW)
        assert (again.new, again.duplicates, again.ids) == (0, 1, [done.ids[0]])

    async def test_a_key_with_another_body_is_a_conflict_and_is_not_taken(self, store: Store) -> None:
        run = await open_run(store)
        done = await store.submit(run, [new("a"), new("a", "{2}"), new("b")], NOW)
        assert done.conflicts == [1]
        assert (await store.submit(run, [new("b", "{3}")], NOW)).conflicts == [0]
        assert await counts(store) == {State.READY: 2}

    async def test_tasks_without_a_key_are_all_new(self, store: Store) -> None:
        run = await open_run(store)
        assert (await store.submit(run, [new(), new()], NOW)).new == 2

    async def test_a_scheduled_task_is_ready_at_its_time(self, store: Store) -> None:
        await run_with(store, [new("a", wake_at=NOW + 60)])
        assert await store.peek(NOW, depth=10) == []
        assert await store.wake(NOW) == NOW + 60
        assert await store.wake(NOW + 60) is None
        assert len(await store.peek(NOW + 60, depth=10)) == 1
        await sound(store)

    async def test_an_abandoned_submission_leaves_nothing_behind(self, store: Store) -> None:
        run = await open_run(store)
        await store.submit(run, [new("a")], NOW, held=True)
        await store.abandon_run(run)
        assert await counts(store) == {}
        assert await store.runs() == []
        await sound(store)


class TestRunningAgain:
    async def test_finished_tasks_are_kept_and_failed_ones_go_again(self, store: Store) -> None:
        await run_with(store, [new("good"), new("bad", "{1}")])
        await store.join("w", LEASE, NOW)
        tasks = {task.key: task for task in await claim(store)}
        await finish(store, [tasks["good"]])
        await finish(store, [tasks["bad"]], State.FAILED)
        run = await open_run(store)
        done = await store.submit(run, [new("good"), new("bad", "{1}")], NOW, held=True)
        assert (done.kept, done.again, done.new) == (1, 1, 0)
        assert not (await store.seal_run(run, NOW)).rewrite
        assert [task.key for task in await claim(store)] == ["bad"]
        assert len(await store.attempts(tasks["bad"].id)) == 2
        await sound(store)

    async def test_a_changed_body_is_new_work_and_the_old_result_leaves_the_run(self, store: Store) -> None:
        await run_with(store, [new("a", "{1}"), new("b", "{2}")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store))
        run = await open_run(store)
        done = await store.submit(run, [new("a", "{9}"), new("b", "{2}")], NOW, held=True)
        assert (done.kept, done.new) == (1, 1)
        sealed = await store.seal_run(run, NOW)
        assert sealed.rewrite
        assert sealed.dropped == 1
        await finish(store, await claim(store))
        run = await store.get_run(run.id)
        assert run.offset == 0
        results = await store.results_after(run, run.cursor, 10)
        assert sorted(result.key or "" for result in results) == ["a", "b"]
        await sound(store)

    async def test_a_row_that_comes_back_is_not_paid_again(self, store: Store) -> None:
        await run_with(store, [new("a", "{1}"), new("b", "{2}")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store))
        await run_with(store, [new("b", "{2}")])
        run = await run_with(store, [new("a", "{1}"), new("b", "{2}")])
        assert await claim(store) == []
        assert await counts(store, run) == {State.SUCCEEDED: 2}
        assert len(await store.results_after(run, run.cursor, 10)) == 2
        await sound(store)

    async def test_a_row_that_comes_back_while_it_still_runs_is_the_same_task(self, store: Store) -> None:
        await run_with(store, [new("a", "{1}"), new("b", "{2}")])
        await store.join("w", LEASE, NOW)
        running = await claim(store)
        await run_with(store, [new("a", "{1}")])
        run = await run_with(store, [new("a", "{1}"), new("b", "{2}")])
        assert await counts(store, run) == {State.RUNNING: 2}
        await finish(store, running, State.READY)
        assert await counts(store, run) == {State.READY: 2}, "nobody asked for its end any more"
        await sound(store)

    async def test_an_unfinished_submission_does_not_spoil_the_earlier_one(self, store: Store) -> None:
        await run_with(store, [new("a", "{1}")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store))
        run = await open_run(store)
        await store.submit(run, [new("a", "{2}"), new("c", "{3}")], NOW, held=True)
        await store.abandon_run(run)
        assert [r.key for r in await store.results_after(run, 0, 10)] == ["a"]
        again = await run_with(store, [new("a", "{1}")])
        assert await counts(store, again) == {State.SUCCEEDED: 1}

    async def test_fresh_forgets(self, store: Store) -> None:
        first = await run_with(store, [new("a")])
        second = await run_with(store, [new("a")], fresh=True)
        assert second.id != first.id
        assert await counts(store, second) == {State.READY: 1}

    async def test_fresh_leaves_nothing_of_the_replaced_run_to_be_done(self, store: Store) -> None:
        first = await run_with(store, [new("a"), new("b"), new("c"), new("d", wake_at=NOW + 100)])
        await store.join("w", LEASE, NOW)
        done, _ = await claim(store, n=2)
        await finish(store, [done])
        second = await run_with(store, [new("a")], fresh=True)
        assert [head.run_id for head in await store.peek(NOW, depth=9)] == [second.id]
        assert await counts(store, first) == {State.SUCCEEDED: 1}
        assert await store.check() == []

    async def test_a_fresh_submission_given_up_leaves_the_run_as_it_was(self, store: Store) -> None:
        first = await run_with(store, [new("a"), new("b")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store, n=1))
        fresh = await open_run(store, fresh=True)
        await store.submit(fresh, [new("a"), new("c")], NOW, held=True)
        await store.abandon_run(fresh)
        again = await run_with(store, [new("a"), new("b")])
        assert again.id == first.id
        assert await counts(store, again) == {State.SUCCEEDED: 1, State.READY: 1}

    async def test_tasks_that_wait_take_the_new_route(self, store: Store) -> None:
        await run_with(store, [new("a")])
        elsewhere = Route("legal", Urgency.URGENT, "strong")
        await run_with(store, [new("a", route=elsewhere)])
        (head,) = await store.peek(NOW, depth=1)
        assert (head.model, head.lane, head.urgency) == ("strong", "legal", Urgency.URGENT)
        await sound(store)


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

    async def test_a_settlement_counts_once(self, store: Store) -> None:
        await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        (task,) = await claim(store)
        assert await finish(store, [task]) == [True]
        assert await finish(store, [task]) == [False]
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


class TestWorkers:
    async def test_tasks_of_a_dead_worker_go_back_when_its_lease_has_ended(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        run = await run_with(a, [new("a")])
        await a.join("a", LEASE, NOW)
        await claim(a, "a")
        await b.join("b", LEASE, NOW)
        assert (await b.reap("b", NOW + LEASE - 1)).returned == 0
        b.heartbeat("b", LEASE, NOW + LEASE + 1)
        reaped = await b.reap("b", NOW + LEASE + 1)
        assert (reaped.workers, reaped.returned) == (("a",), 1)
        (task,) = await claim(b, "b", now=NOW + LEASE + 1)
        outcomes = [attempt.outcome for attempt in await b.attempts(task.id)]
        assert outcomes == [Outcome.LOST, None]
        assert (await b.get_run(run.id)).spent == pytest.approx(150 / 1e6)
        await sound(b)

    async def test_nobody_reaps_before_having_been_there_a_whole_lease(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        await run_with(a, [new("a")])
        await a.join("a", LEASE, NOW)
        await claim(a, "a")
        late = NOW + 100
        await b.join("b", LEASE, late)
        assert (await b.reap("b", late)).workers == ()
        assert (await b.reap("b", late + LEASE)).workers == ("a",)

    async def test_a_heartbeat_keeps_the_lease_and_tells_the_dead(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        await a.join("a", LEASE, NOW)
        await b.join("b", LEASE, NOW)
        assert a.heartbeat("a", LEASE, NOW + 9)
        assert (await b.reap("b", NOW + 12)).workers == ()
        assert (await b.reap("b", NOW + 30)).workers == ("a",)
        assert not a.heartbeat("a", LEASE, NOW + 31)

    async def test_a_late_answer_is_booked_but_not_accepted(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        run = await run_with(a, [new("a")])
        await a.join("a", LEASE, NOW)
        late = await claim(a, "a")
        await b.join("b", LEASE, NOW)
        await b.reap("b", NOW + 30)
        (again,) = await claim(b, "b")
        assert await a.settle("a", [settlement(late[0], cost=0.5)], NOW) == [False]
        assert (await b.find_task("a")).state is State.RUNNING
        first, _ = await b.attempts(again.id)
        assert (first.outcome, first.cost) == (Outcome.LOST, 0.5)
        assert (await b.get_run(run.id)).spent == pytest.approx(0.5)
        assert await finish(b, [again], worker="b") == [True]
        await sound(b)

    async def test_leaving_gives_back_what_is_held(self, store: Store) -> None:
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        (task,) = await claim(store)
        await store.leave("w", NOW)
        assert await counts(store, run) == {State.READY: 1}
        assert [a.outcome for a in await store.attempts(task.id)] == [Outcome.LOST]
        assert await store.workers(NOW) == []

    @pytest.mark.parametrize(("python", "ended"), [(True, State.FAILED), (False, State.READY)])
    async def test_a_python_task_that_kills_workers_is_given_up_and_a_prompt_is_not(
        self, open_store: OpenStore, python: bool, ended: State
    ) -> None:
        victim, reaper = await open_store(), await open_store()
        kind: dict[str, Any] = {"spec": PYTHON[0], "route": PYTHON[1]} if python else {}
        run = await run_with(victim, [new("a", **kind)])
        await reaper.join("reaper", LEASE, NOW)
        for death in range(3):
            await victim.join(f"v{death}", LEASE, NOW)
            assert len(await claim(victim, f"v{death}")) == 1
            await reaper.reap("reaper", NOW + 20)
        assert await counts(reaper, run) == {ended: 1}
        await sound(reaper)


class TestShares:
    async def test_a_lone_worker_gets_all(self, store: Store) -> None:
        grant = await store.renew_grant("account:main", "a", Capacity(20), 5, NOW, LEASE)
        assert (grant.share, grant.slots, grant.valid_until) == (1.0, 20, NOW + LEASE)

    async def test_parts_follow_demand_and_never_exceed_the_whole(self, store: Store) -> None:
        shares: dict[str, tuple[float, int]] = {}
        demands = {"a": 10, "b": 30, "c": 0}
        for turn in range(6):
            for worker, demand in demands.items():
                now = NOW + turn * 2
                grant = await store.renew_grant("account:main", worker, Capacity(20), demand, now, LEASE)
                shares[worker] = (grant.share, grant.slots or 0)
                assert sum(share for share, _ in shares.values()) <= 1.0 + 1e-9
                assert sum(slots for _, slots in shares.values()) <= 20
        assert shares["a"][0] == pytest.approx(0.25)
        assert shares["b"][0] == pytest.approx(0.75)

    async def test_a_dead_workers_part_is_free_after_its_grant(self, store: Store) -> None:
        await store.renew_grant("lane:legal", "a", Capacity(4), 1, NOW, LEASE)
        assert (await store.renew_grant("lane:legal", "b", Capacity(4), 1, NOW + 1, LEASE)).slots == 0
        assert (await store.renew_grant("lane:legal", "b", Capacity(4), 1, NOW + LEASE + 1, LEASE)).slots == 4

    async def test_small_objects_are_kept(self, store: Store) -> None:
        assert await store.load_state("account:main") is None
        await store.save_state("account:main", {"level": 1}, NOW)
        await store.save_state("account:main", {"level": 2}, NOW + 1)
        assert await store.load_state("account:main") == ({"level": 2}, NOW + 1)


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


class TestPauses:
    async def test_a_pause_is_kept_until_it_is_resumed_and_counts_the_resumptions(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        assert await a.pause(PauseKind.LANE, "legal", NOW)
        assert not await b.pause(PauseKind.LANE, "legal", NOW + 5), "it is paused since the first time"
        assert await b.pauses() == [Pause(PauseKind.LANE, "legal", NOW, 0)]
        assert await b.resume(PauseKind.LANE, "legal", NOW)
        assert not await a.resume(PauseKind.LANE, "legal", NOW)
        assert await a.pauses() == [Pause(PauseKind.LANE, "legal", None, 2)]
        assert await a.pause(PauseKind.LANE, "legal", NOW + 9)
        assert await a.pauses() == [Pause(PauseKind.LANE, "legal", NOW + 9, 2)]

    async def test_a_lane_and_an_account_of_one_name_are_two_things(self, store: Store) -> None:
        await store.pause(PauseKind.LANE, "main", NOW)
        assert not await store.resume(PauseKind.ACCOUNT, "main", NOW)
        assert [pause.kind for pause in await store.pauses() if pause.since] == [PauseKind.LANE]

    async def test_resuming_an_account_forgets_the_failure_that_was_saved(self, store: Store) -> None:
        await store.save_state("account:main", {"paused": "wrong key", "levels": {"x": 1}}, NOW)
        await store.save_state("account:mainly", {"paused": None}, NOW)
        assert await store.resume(PauseKind.ACCOUNT, "main", NOW)
        assert await store.states("account:") == {
            "main": ({"paused": None, "levels": {"x": 1}}, NOW),
            "mainly": ({"paused": None}, NOW),
        }
        assert not await store.resume(PauseKind.ACCOUNT, "mainly", NOW)


class TestChoosing:
    async def test_every_condition_must_hold_and_of_several_values_any(self, store: Store) -> None:
        legal = Route("legal", Urgency.URGENT, "strong")
        review = Spec("review", Wire.CHAT)
        run = await run_with(
            store,
            [
                new("a-1", "1", tags=("vip", "north")),
                new("a-2", "2", NOW + 1, route=legal, spec=review, tags=("south",)),
                new("b-1", "3", NOW + 2, route=legal),
                new("b-[1]", "4", NOW + 3, input_tokens=5000),
            ],
        )
        other = await run_with(store, [new("a-1", "9")], identity="other")
        ids = {key: (await store.find_task(key, run.id)).id for key in ("a-1", "a-2", "b-1", "b-[1]")}
        elsewhere = (await store.find_task("a-1", other.id)).id

        async def found(**conditions: Any) -> list[int]:
            chosen = await store.select(Selector(**conditions))
            assert (await store.extent(Selector(**conditions))).tasks == len(chosen)
            return chosen

        assert await found(run_id=run.id) == sorted(ids.values())
        assert await found(ids=(ids["b-1"], elsewhere, 999)) == [ids["b-1"], elsewhere]
        assert await found(ids=()) == []
        assert await found(keys=("a-1",)) == [ids["a-1"], elsewhere]
        assert await found(keys=("b-*",)) == [ids["b-1"], ids["b-[1]"]]
        assert await found(lanes=("legal",), types=("review",)) == [ids["a-2"]]
        assert await found(types=("review", "none")) == [ids["a-2"]]
        assert await found(models=("strong",), run_id=run.id) == [ids["a-2"], ids["b-1"]]
        assert await found(urgencies=(Urgency.STANDARD,), run_id=run.id) == [ids["a-1"], ids["b-[1]"]]
        assert await found(tags=("north", "south")) == [ids["a-1"], ids["a-2"]]
        assert await found(states=(State.FAILED,)) == []
        assert await found(lanes=("x'; DROP TABLE task; --",)) == []
        extent = await store.extent(Selector(run_id=run.id))
        assert extent.states == {State.READY: 4}
        assert extent.wires == {Wire.CHAT: 4}
        assert extent.longest == 5050

    async def test_failed_tasks_are_chosen_by_how_they_failed(self, store: Store) -> None:
        await run_with(store, [new("a", "1"), new("b", "2", NOW + 1), new("c", "3", NOW + 2)])
        await store.join("w", LEASE, NOW)
        a, b, c = await claim(store)
        await finish(store, [a, b], State.FAILED)
        outage = Failure(FailureClass.TRANSIENT, "server_error", "down", 500)
        await finish(store, [c], State.FAILED, failure=outage)
        assert await store.select(Selector(classes=("request",))) == [a.id, b.id]
        assert await store.select(Selector(classes=("request", "transient"), codes=("server_error",))) == [c.id]

    async def test_tasks_that_left_their_run_are_not_found(self, store: Store) -> None:
        await run_with(store, [new("a", "1"), new("b", "2")])
        run = await run_with(store, [new("a", "1")])
        assert len(await store.select(Selector(run_id=run.id))) == 1

    async def test_what_tasks_wait_for(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1"), new("b", "2", wake_at=NOW + 60), new("c", "3", wake_at=NOW + 50)])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.WAITING, wake_at=NOW + 5)
        assert await store.waiting(run.id) == [
            Waiting(WaitReason.RETRY, 1, NOW + 5),
            Waiting(WaitReason.SCHEDULED, 2, NOW + 50),
        ]
        assert await store.waiting(run.id + 1) == []
        assert len(await store.waiting()) == 2


class TestSettingByHand:
    WAITS = {Urgency.URGENT: 60.0, Urgency.STANDARD: 600.0}  # noqa: RUF012

    async def test_tasks_move_with_their_counters_and_say_who_did_it(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1"), new("b", "2", wake_at=NOW + 60)])
        ids = await store.select(Selector(run_id=run.id))
        change = Change(Urgency.URGENT, "legal", "strong", target_waits=self.WAITS)
        assert await store.adjust(ids, change, NOW + 30) == 2
        (cell,) = [cell for cell in await store.tally(run.id) if any(cell.counts.values())]
        assert (cell.lane, cell.urgency, cell.model) == ("legal", Urgency.URGENT, "strong")
        assert {state: n for state, n in cell.counts.items() if n} == {State.READY: 1, State.WAITING: 1}
        task = await store.find_task("a")
        assert task.due_at == NOW + 60, "from its submission on"
        assert task.route.reasons == dict.fromkeys(("lane", "urgency", "model"), "set by hand")
        assert task.route.fallbacks == ()
        await sound(store)

    async def test_only_what_is_named_changes(self, store: Store) -> None:
        run = await run_with(store, [new("a", due=NOW + 5)])
        await store.adjust(await store.select(Selector(run_id=run.id)), Change(lane="legal"), NOW)
        task = await store.find_task("a")
        assert (task.lane, task.urgency, task.model, task.due_at) == ("legal", Urgency.STANDARD, "small", NOW + 5)
        assert task.route.fallbacks == ("strong",)

    async def test_a_deadline_comes_before_the_target_wait(self, store: Store) -> None:
        await run_with(store, [new("a")])
        id_ = (await store.find_task("a")).id
        await store.adjust([id_], Change(deadline=NOW + 100, target_waits=self.WAITS), NOW)
        task = await store.find_task("a")
        assert (task.deadline, task.due_at) == (NOW + 100, NOW + 100)
        await store.adjust([id_], Change(urgency=Urgency.URGENT, target_waits=self.WAITS), NOW)
        assert (await store.find_task("a")).due_at == NOW + 60
        await store.adjust([id_], Change(urgency=Urgency.STANDARD, target_waits=self.WAITS), NOW)
        assert (await store.find_task("a")).due_at == NOW + 100

    async def test_what_runs_takes_a_new_model_for_its_next_try(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1"), new("b", "2", NOW + 1), new("c", "3", NOW + 2)])
        await store.join("w", LEASE, NOW)
        a, b, c = await claim(store)
        assert await store.adjust([a.id, b.id, c.id], Change(model="best", lane="legal"), NOW) == 3
        assert {task.model for task in await store.get_tasks([a.id, b.id, c.id])} == {"small"}
        await sound(store)
        await finish(store, [a])
        await finish(store, [b], State.WAITING, wake_at=NOW + 1)
        await finish(store, [c], State.READY, model="strong", outcome=Outcome.REQUEST)
        await store.wake(NOW + 1)
        models = {
            task.key: (task.model, task.lane, task.attempts) for task in await store.get_tasks([a.id, b.id, c.id])
        }
        assert models["a"][:2] == ("small", "legal"), "it has its answer, from the model that it shows"
        assert models["b"] == ("best", "legal", 0)
        assert models["c"] == ("best", "legal", 0), "a person's choice goes before the route's fallback"
        assert await counts(store, run) == {State.SUCCEEDED: 1, State.READY: 2}
        assert {task.model for task in await claim(store)} == {"best"}
        await sound(store)

    async def test_a_new_model_holds_also_after_its_worker_died_and_after_a_failure(self, store: Store) -> None:
        await run_with(store, [new("a", "1"), new("b", "2", NOW + 1)])
        await store.join("w", LEASE, NOW)
        a, b = await claim(store)
        await store.adjust([a.id, b.id], Change(model="best"), NOW)
        await finish(store, [b], State.FAILED)
        assert (await store.find_task("b")).model == "small", "it failed there"
        await store.leave("w", NOW)
        assert (await store.find_task("a")).model == "best"
        await store.retry([b.id], NOW)
        assert (await store.find_task("b")).model == "best"
        await sound(store)

    async def test_what_has_ended_stays_and_a_python_task_has_no_model(self, store: Store) -> None:
        spec, route = PYTHON
        await run_with(store, [new("a", "1"), new("p", "2", spec=spec, route=route)])
        await store.join("w", LEASE, NOW)
        tasks = {task.key: task for task in await claim(store)}
        await finish(store, [tasks["a"]])
        await store.leave("w", NOW)
        ids = [task.id for task in tasks.values()]
        assert await store.adjust(ids, Change(model="best", lane="legal"), NOW) == 1
        task = await store.find_task("p")
        assert (task.model, task.route.model, task.lane) == ("", "", "legal")
        await sound(store)

    async def test_the_same_command_again_keeps_what_was_set_by_hand(self, store: Store) -> None:
        run = await run_with(store, [new("a"), new("b", "2")])
        hand = Change(urgency=Urgency.URGENT, model="best", target_waits=self.WAITS)
        await store.adjust([(await store.find_task("a")).id], hand, NOW)
        elsewhere = Route("legal", Urgency.RELAXED, "small", fallbacks=("best",), reasons={"lane": "a new rule"})
        await run_with(store, [new("a", route=elsewhere, due=NOW + 999), new("b", "2", route=elsewhere)])
        a, b = await store.find_task("a"), await store.find_task("b")
        assert (a.lane, a.urgency, a.model, a.route.fallbacks) == ("legal", Urgency.URGENT, "best", ())
        assert a.due_at == NOW + 60
        assert (b.lane, b.urgency, b.model) == ("legal", Urgency.RELAXED, "small")
        pinned = Route("legal", Urgency.RELAXED, "small", reasons={"model": "pinned by the command"})
        await run_with(store, [new("a", route=pinned), new("b", "2", route=pinned)])
        assert (await store.find_task("a")).model == "small", "what this command says goes before"
        assert run.id == a.run_id
        await sound(store)


class TestNames:
    async def test_joining_a_run_leaves_it_as_it_is(self, open_store: OpenStore) -> None:
        one, other = await open_store(), await open_store()
        first = await one.open_run("api", info={}, max_cost=None, now=NOW, join=True)
        await one.submit(first, [new("a")], NOW)
        second = await other.open_run("api", info={}, max_cost=None, now=NOW + 1, join=True)
        assert (second.id, second.generation) == (first.id, first.generation)
        assert (await other.submit(second, [new("a", "{2}")], NOW)).conflicts == [0]

    async def test_keys_in_use_come_with_the_hash_of_their_request(self, store: Store) -> None:
        run = await open_run(store)
        done = await store.submit(run, [new("a"), new("b", "{2}"), new()], NOW)
        named = await store.named(run, ["a", "b", "none"])
        assert named == {"a": (done.ids[0], new("a").hash), "b": (done.ids[1], new("b", "{2}").hash)}
        assert await store.named(run, []) == {}


class TestKeeping:
    async def prune(self, store: Store, before: float = NOW + 1, **options: Any) -> tuple[int, int]:
        """(tasks pruned, tasks kept), in batches of two results."""
        tasks = kept = 0
        at: int | None = 0
        while at is not None:
            done = await store.prune(before, after=at, limit=2, **options)
            tasks, kept, at = tasks + done.tasks, kept + done.kept, done.cursor
        return tasks, kept

    async def ended(self, store: Store, n: int = 3) -> tuple[Run, list[NewTask]]:
        """A run of n tasks that succeeded, whose results are in their file."""
        tasks = [new(f"t{i}", f'{{"n":{i}}}', record=b'{"a":1}') for i in range(n)]
        run = await run_with(store, tasks)
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store))
        await store.save_cursor(run.id, await store.last_result(), 99)
        return run, tasks

    async def test_content_goes_and_the_books_stay(self, store: Store) -> None:
        run, _ = await self.ended(store)
        before = await store.figures(run)
        assert await self.prune(store, NOW) == (0, 0), "not before their time"
        assert await self.prune(store, dry=True) == (3, 0)
        assert not (await store.find_task("t0")).pruned
        assert await self.prune(store) == (3, 0)
        assert await self.prune(store) == (0, 0)
        task = await store.find_task("t0")
        assert task.pruned
        assert (task.record, task.output, task.state, task.model) == (None, None, State.SUCCEEDED, "small")
        assert await store.figures(run) == before
        assert await store.pruned(run) == 3
        assert all(result.pruned for result in await store.results_after(run, 0, 10))
        await sound(store)

    async def test_only_what_has_ended_and_reached_its_file_is_taken(self, store: Store) -> None:
        run = await store.open_run("out.jsonl", info={"out": "out.jsonl"}, max_cost=None, now=NOW)
        await store.submit(run, [new(f"t{i}", f"{i}") for i in range(5)], NOW)
        await store.join("w", LEASE, NOW)
        first, second, running, waiting, _ = await claim(store)
        await finish(store, [first])
        await store.save_cursor(run.id, await store.last_result(), 99)
        await finish(store, [second])
        await finish(store, [waiting], State.WAITING, wake_at=NOW + 100)
        assert await self.prune(store) == (1, 1)
        assert [(await store.find_task(t.key or "")).pruned for t in (first, second, running, waiting)] == [
            *(True, False, False, False)
        ]
        replaced = await open_run(store, fresh=True)
        assert replaced.id != run.id
        assert await self.prune(store) == (1, 0), "nobody will ask for it any more"

    async def test_of_one_run_only(self, store: Store) -> None:
        run, _ = await self.ended(store)
        await run_with(store, [new("other")], identity="other")
        await finish(store, await claim(store))
        assert await self.prune(store, run_id=run.id) == (3, 0)
        assert not (await store.find_task("other")).pruned

    async def test_words_of_errors_go_too(self, store: Store) -> None:
        run = await run_with(store, [new("a")])
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.FAILED)
        await store.save_cursor(run.id, await store.last_result(), 0)
        await self.prune(store)
        task = await store.find_task("a")
        assert task.error == {"class": "request", "code": "bad", "message": "[pruned]", "status": 400}
        (attempt,) = await store.attempts(task.id)
        assert attempt.error == task.error
        assert await store.retry([task.id], NOW) == 0, "there is nothing to send"
        await run_with(store, [new("a")])
        assert [task.body for task in await claim(store)] == [b"{}"], "a new submission brings it back"

    async def test_a_finished_task_is_not_paid_again(self, store: Store) -> None:
        run, tasks = await self.ended(store)
        await self.prune(store)
        again = await open_run(store)
        assert (await store.submit(again, [*tasks, new("more")], NOW, held=True)).kept == 3
        assert not (await store.seal_run(again, NOW)).rewrite
        assert [task.key for task in await claim(store)] == ["more"]
        assert (await store.get_run(run.id)).offset == 99

    async def test_a_results_file_that_could_not_be_written_anew_is_left_alone(self, store: Store) -> None:
        run, tasks = await self.ended(store)
        await self.prune(store)
        again = await open_run(store)
        await store.submit(again, tasks[1:], NOW, held=True)
        with pytest.raises(ConflictError, match="the answers of 2 finished tasks were pruned"):
            await store.seal_run(again, NOW)
        await store.abandon_run(again)
        assert (await store.get_run(run.id)).offset == 99
        whole = await open_run(store)
        await store.submit(whole, tasks, NOW, held=True)
        await store.seal_run(whole, NOW)
        assert await counts(store, whole) == {State.SUCCEEDED: 3}
        await sound(store)

    async def test_dropped_tasks_are_pruned_by_their_submission(self, store: Store) -> None:
        await run_with(store, [new("a", "1"), new("b", "2")])
        run = await run_with(store, [new("a", "1")])
        assert await self.prune(store, NOW) == (0, 0)
        assert await self.prune(store, NOW + 1, run_id=run.id) == (1, 0)
        assert await self.prune(store, NOW + 1) == (0, 0)
        await run_with(store, [new("a", "1"), new("b", "2")])
        assert sorted(task.body for task in await claim(store)) == [b"1", b"2"]
        await sound(store)


class TestTheSameKeyWithinAnHour:
    HOUR = 3600.0

    async def submit_at(self, store: Store, identity: str, at: float, *tasks: NewTask) -> Run:
        run = await store.open_run(identity, info={}, max_cost=None, now=at)
        await store.submit(run, tasks, at, held=True)
        await store.seal_run(run, at)
        await store.wake(at)
        return await store.get_run(run.id)

    async def test_a_row_takes_over_what_another_run_has_paid(self, store: Store) -> None:
        await run_with(store, [new("a")], identity="one")
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), request_id="r1")
        run = await self.submit_at(store, "two", NOW + 60, new("a", dedupe_for=self.HOUR), new("b", "{2}"))
        assert await counts(store, run) == {State.SUCCEEDED: 1, State.READY: 1}
        (result,) = await store.results_after(run, run.cursor, 10)
        assert (result.key, result.output, result.cost, result.request_id) == ("a", b'{"ok":1}', 0.0, "r1")
        assert await store.attempts(result.task_id) == []
        assert run.spent == 0
        assert [task.key for task in await claim(store)] == ["b"]
        await sound(store)

    async def test_only_the_same_request_of_the_same_time_counts(self, store: Store) -> None:
        await run_with(store, [new("a")], identity="one")
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store))
        late = NOW + self.HOUR + 1
        for identity, at, task in (
            ("late", late, new("a", dedupe_for=self.HOUR)),
            ("changed", NOW, new("a", "{9}", dedupe_for=self.HOUR)),
            ("another type", NOW, new("a", spec=Spec("other", Wire.CHAT), dedupe_for=self.HOUR)),
            ("not asked", NOW, new("a")),
        ):
            run = await self.submit_at(store, identity, at, task)
            assert await counts(store, run) == {State.READY: 1}, identity

    async def test_copies_do_not_stretch_the_time(self, store: Store) -> None:
        await run_with(store, [new("a")], identity="one")
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store))
        copied = await self.submit_at(store, "two", NOW + 3000, new("a", dedupe_for=self.HOUR))
        assert await counts(store, copied) == {State.SUCCEEDED: 1}
        run = await self.submit_at(store, "three", NOW + 6000, new("a", dedupe_for=self.HOUR))
        assert await counts(store, run) == {State.READY: 1}

    async def test_a_row_waits_for_a_twin_that_runs(self, store: Store) -> None:
        await run_with(store, [new("a")], identity="one")
        await store.join("w", LEASE, NOW)
        running = await claim(store)
        run = await self.submit_at(store, "two", NOW, new("a", dedupe_for=self.HOUR))
        assert [(one.reason, one.tasks) for one in await store.waiting(run.id)] == [(WaitReason.SHARED, 1)]
        await store.wake(NOW + 60)
        assert await claim(store) == []
        await finish(store, running)
        assert await store.wake(NOW + 61) is None, "its end is told at once"
        assert await counts(store, run) == {State.SUCCEEDED: 1}
        await sound(store)

    @pytest.mark.parametrize("how", ["failed", "cancelled"])
    async def test_a_row_whose_twin_ends_badly_is_done_itself(self, store: Store, how: str) -> None:
        await run_with(store, [new("a")], identity="one")
        await store.join("w", LEASE, NOW)
        running = await claim(store)
        run = await self.submit_at(store, "two", NOW, new("a", dedupe_for=self.HOUR))
        if how == "cancelled":
            await store.cancel([running[0].id], NOW)
        await finish(store, running, State.FAILED if how == "failed" else State.READY)
        await store.wake(NOW + 1)
        (task,) = await claim(store)
        assert task.run_id == run.id
        await sound(store)

    async def test_where_nobody_works_on_the_twin_the_two_change_places(self, store: Store) -> None:
        one = await run_with(store, [new("a")], identity="one")
        two = await self.submit_at(store, "two", NOW, new("a", dedupe_for=self.HOUR))
        assert await counts(store, two) == {State.READY: 1}
        assert await counts(store, one) == {State.WAITING: 1}
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store))
        await store.wake(NOW + 1)
        assert await counts(store, one) == {State.SUCCEEDED: 1}
        assert await counts(store, two) == {State.SUCCEEDED: 1}
        assert len(await store.results_after(one, 0, 9)) == len(await store.results_after(two, 0, 9)) == 1
        await sound(store)

    async def test_an_abandoned_submission_leaves_no_row_behind(self, store: Store) -> None:
        await run_with(store, [new("a")], identity="one")
        run = await open_run(store, "two")
        assert (await store.submit(run, [new("a", dedupe_for=self.HOUR)], NOW, held=True)).shared == 1
        await store.abandon_run(run)
        assert await counts(store) == {State.READY: 1}
        await sound(store)

    async def test_a_single_task_is_the_earlier_one_and_its_key_is_free_after_the_time(self, store: Store) -> None:
        await run_with(store, [new("a")], identity="one")
        api = await open_run(store, "api")
        task = new("a", dedupe_for=self.HOUR)
        elsewhere = (await store.find_task("a")).id
        done = await store.submit(api, [task], NOW + 60)
        assert (done.ids, done.shared, done.new) == ([elsewhere], 1, 0)
        later = NOW + self.HOUR + 1
        (first,) = (await store.submit(api, [task], later)).ids
        assert first != elsewhere
        assert (await store.submit(api, [task], later + 60)).ids == [first]
        (second,) = (await store.submit(api, [new("a", "{2}", dedupe_for=self.HOUR)], later + self.HOUR + 1)).ids
        assert second != first, "with other arguments, too"
        assert (await store.submit(api, [new("a", "{3}", dedupe_for=self.HOUR)], later + self.HOUR + 2)).conflicts == [
            0
        ]
        await sound(store)

    async def test_a_single_task_that_failed_is_made_anew(self, store: Store) -> None:
        api = await open_run(store, "api")
        task = new("a", dedupe_for=self.HOUR)
        (first,) = (await store.submit(api, [task], NOW)).ids
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.FAILED)
        (second,) = (await store.submit(api, [task], NOW)).ids
        assert second != first
        assert (await store.find_task("a")).id == second
        await sound(store)
