"""What every store promises of workers, their leases and their shares."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.store.interface import Capacity, Store
from laneway.task import Outcome, State
from tests.store.conftest import OpenStore
from tests.store.helpers import (
    LEASE,
    NOW,
    PYTHON,
    claim,
    counts,
    finish,
    new,
    run_with,
    settlement,
    sound,
)


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
