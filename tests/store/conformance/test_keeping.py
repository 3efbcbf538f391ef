"""What every store keeps of content, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.errors import ConflictError
from laneway.store.interface import Store
from laneway.store.runs import Run
from laneway.task import NewTask, State
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

    async def test_what_is_pruned_between_submission_and_seal_is_not_sent_empty(self, store: Store) -> None:
        tasks = [new("a", "1"), new("b", "2")]
        await run_with(store, tasks)
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.FAILED)
        again = await open_run(store)
        await store.submit(again, tasks, NOW, held=True)
        assert await self.prune(store) == (2, 0)
        await store.seal_run(again, NOW)
        assert await claim(store) == []
        assert await counts(store, again) == {State.FAILED: 2}
        await run_with(store, tasks)
        assert sorted(task.body for task in await claim(store)) == [b"1", b"2"], "a new submission brings it back"
        await sound(store)

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
