"""What every store promises of submissions and runs."""

from __future__ import annotations

from laneway.store.interface import Store
from laneway.task import Route, State, Urgency
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
