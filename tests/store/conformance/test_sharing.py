"""What every store promises of the same key within a time (``dedupe_for``)."""

from __future__ import annotations

import pytest

from laneway.store.interface import Store
from laneway.store.runs import Run
from laneway.task import NewTask, Spec, State, WaitReason, Wire
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
