"""What every store promises of workers, their leases and their shares."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.store.cells import Pick
from laneway.store.grants import Capacity, Demand, Grant
from laneway.store.interface import Store
from laneway.task import Outcome, Route, State, Urgency
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

TWENTY = Capacity(20)


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

    async def test_what_answers_to_a_dead_worker_is_called_off_wherever_it_stands(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        await a.join("a", LEASE, NOW)
        await b.join("b", LEASE, NOW)
        tasks = [new(key, answers_to="a") for key in ("there", "elsewhere", "queued", "ended")]
        tasks += [new("late", answers_to="a", wake_at=NOW + 99), new("own"), new("others", answers_to="b")]
        run = await run_with(a, tasks)
        ids = {key: id_ for key, (id_, _) in (await a.named(run, [str(one.key) for one in tasks])).items()}
        (ended, *_) = await claim(a, "a", n=1)
        named = {id_: key for key, id_ in ids.items()}
        await finish(a, [ended], worker="a")
        (there,) = await claim(a, "a", n=1)
        (elsewhere,) = await claim(b, "b", n=1)
        b.heartbeat("b", LEASE, NOW + LEASE + 1)
        reaped = await b.reap("b", NOW + LEASE + 1)
        assert (reaped.workers, reaped.returned, reaped.called_off) == (("a",), 0, 4)
        found = {named[one.id]: one for one in await b.get_tasks(list(ids.values()))}
        assert named[there.id] != named[elsewhere.id] != named[ended.id]
        cancelled = {key for key, one in found.items() if one.state is State.CANCELLED}
        assert cancelled == {"there", "elsewhere", "queued", "ended", "late"} - {named[ended.id], named[elsewhere.id]}
        assert found[named[ended.id]].state is State.SUCCEEDED
        assert {found["own"].state, found["others"].state} == {State.READY}
        assert found[named[elsewhere.id]].state is State.RUNNING, "it ends with its call"
        await b.settle("b", [settlement(elsewhere, State.READY)], NOW + LEASE + 2)
        assert (await b.get_tasks([elsewhere.id]))[0].state is State.CANCELLED
        await sound(b)

    async def test_a_clean_end_calls_nothing_off_and_who_is_retried_answers_to_nobody(
        self, open_store: OpenStore
    ) -> None:
        a, b = await open_store(), await open_store()
        await b.join("b", LEASE, NOW)
        await a.join("left", LEASE, NOW)
        await a.join("dead", LEASE, NOW)
        run = await run_with(a, [new("k", answers_to="left"), new("retried", answers_to="dead")])
        await a.leave("left", NOW + 1)
        retried = (await b.named(run, ["retried"]))["retried"][0]
        await b.cancel([retried], NOW + 2)
        assert await b.retry([retried], NOW + 3) == 1
        b.heartbeat("b", LEASE, NOW + LEASE + 1)
        reaped = await b.reap("b", NOW + LEASE + 1)
        assert (reaped.workers, reaped.called_off) == (("dead",), 0)
        assert await counts(b, run) == {State.READY: 2}

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

    async def test_what_each_worker_runs_and_has_of_the_accounts(self, store: Store) -> None:
        other = Route("legal", Urgency.STANDARD, "small")
        await run_with(store, [new("a"), new("b"), new("c", route=other)])
        for worker in ("w1", "w2"):
            await store.join(worker, LEASE, NOW)
        heads = {head.lane: head.cell_id for head in await store.peek(NOW, depth=9)}
        await store.claim("w1", [Pick(heads["general"], 1), Pick(heads["legal"], 1)], NOW)
        (last,) = await store.claim("w2", [Pick(heads["general"], 1)], NOW + 3)
        first = [("w1", "general", 1, NOW), ("w1", "legal", 1, NOW)]
        assert await store.doing() == [*first, ("w2", "general", 1, NOW + 3)]
        await finish(store, [last], worker="w2")
        assert await store.doing() == first
        await renew(store, "w1", 5.0)
        (part,) = await store.parts(NOW)
        assert (part.worker, part.account, part.share) == ("w1", "main", 1.0)
        assert await store.parts(NOW + 1000) == []

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


async def renew(
    store: Store,
    worker: str,
    calls: float = 0.0,
    *,
    of: Capacity = TWENTY,
    at: float = 0.0,
    urgent: float = 0.0,
    holds: Grant | None = None,
    resource: str = "account:main",
) -> Grant:
    """Ask for a part, ``at`` seconds after the start. ``holds``: the grant that is gone by until then."""
    held = (holds.share, holds.slots or 0) if holds else (0.0, 0)
    demand = Demand((0.0, urgent, calls, 0.0), *held)
    return (await store.renew_grants(worker, {resource: (of, demand)}, NOW + at, LEASE))[resource]


class TestShares:
    async def test_a_lone_worker_gets_all(self, store: Store) -> None:
        grant = await renew(store, "a", 5)
        assert (grant.share, grant.slots, grant.valid_until) == (1.0, 20, NOW + LEASE)

    async def test_parts_follow_demand_and_never_exceed_the_whole(self, store: Store) -> None:
        grants: dict[str, Grant] = {}
        demands = {"a": 10, "b": 30, "c": 0}
        for turn in range(6):
            for worker, demand in demands.items():
                grants[worker] = await renew(store, worker, demand, at=turn * 2, holds=grants.get(worker))
                assert sum(grant.share for grant in grants.values()) <= 1.0 + 1e-9
                assert sum(grant.slots or 0 for grant in grants.values()) <= 20
        assert grants["a"].share == pytest.approx(0.25)
        assert grants["b"].share == pytest.approx(0.75)

    async def test_a_smaller_part_is_free_when_its_worker_goes_by_it(self, store: Store) -> None:
        before = await renew(store, "a", 20)
        assert (await renew(store, "b", 20)).share == 0.0
        smaller = await renew(store, "a", 20, at=2, holds=before)
        assert smaller.share == pytest.approx(0.5)
        nothing = await renew(store, "b", 20, at=2)
        assert (nothing.share, nothing.slots, nothing.lacks) == (0.0, 0, True)
        await renew(store, "a", 20, at=2, holds=smaller)
        assert (await renew(store, "b", 20, at=2)).share == pytest.approx(0.5)

    async def test_slots_in_use_are_given_to_nobody_else(self, store: Store) -> None:
        await renew(store, "a", 20)
        grant = await renew(store, "a", 5, at=2, urgent=0, holds=Grant(0.1, 16, 0.0))
        await renew(store, "b", 20, urgent=20, at=2)
        grant = await renew(store, "a", 5, at=3, holds=Grant(0.1, 16, 0.0))
        assert grant.slots in range(5)
        assert (await renew(store, "b", 20, urgent=20, at=3)).slots == 4

    async def test_urgent_work_of_one_takes_from_less_urgent_work_of_all_others(self, store: Store) -> None:
        holds = await renew(store, "bulk", 1000)
        for at in (2, 4):
            urgent = await renew(store, "urgent", urgent=8, at=at)
            holds = await renew(store, "bulk", 1000, at=at, holds=holds)
            holds = await renew(store, "bulk", 1000, at=at, holds=holds)
        assert urgent.slots == 8
        assert holds.slots == 12

    async def test_a_dead_workers_part_is_free_after_its_grant(self, store: Store) -> None:
        four = Capacity(4)
        await renew(store, "a", 1, of=four, resource="lane:legal")
        assert (await renew(store, "b", 1, of=four, at=1, resource="lane:legal")).slots == 0
        assert (await renew(store, "b", 1, of=four, at=LEASE + 1, resource="lane:legal")).slots == 4

    async def test_who_leaves_frees_its_parts_at_once(self, store: Store) -> None:
        await store.join("a", LEASE, NOW)
        await renew(store, "a", 20)
        await store.leave("a", NOW + 1)
        assert (await renew(store, "b", 20, at=1)).share == 1.0

    async def test_who_only_lost_its_lease_may_use_its_part_until_the_grant_ends(self, open_store: OpenStore) -> None:
        a, b = await open_store(), await open_store()
        await b.join("b", LEASE, NOW)
        await a.join("a", LEASE, NOW)
        await renew(a, "a", 20, at=5)
        assert (await b.reap("b", NOW + LEASE + 1)).workers == ("a",)
        assert (await renew(b, "b", 20, at=LEASE + 1)).share == 0.0
        assert (await renew(b, "b", 20, at=LEASE + 6)).share == 1.0

    async def test_several_resources_are_asked_for_together(self, store: Store) -> None:
        one, none = Demand((0.0, 0.0, 1.0, 0.0)), Demand()
        asks = {"account:main": (TWENTY, one), "account:other": (Capacity(), none), "lane:legal": (Capacity(3), one)}
        grants = await store.renew_grants("a", asks, NOW, LEASE)
        assert {name: (grant.share, grant.slots) for name, grant in grants.items()} == {
            "account:main": (1.0, 20),
            "account:other": (1.0, None),
            "lane:legal": (1.0, 3),
        }

    async def test_calls_are_counted_over_all_workers(self, store: Store) -> None:
        async def told(worker: str, made: int) -> int:
            ask = (TWENTY, Demand((0.0, 0.0, 1.0, 0.0), made=made))
            return (await store.renew_grants(worker, {"account:main": ask}, NOW, LEASE))["account:main"].made

        assert [await told("a", 3), await told("b", 4), await told("a", 0)] == [3, 7, 7]

    async def test_small_objects_are_kept(self, store: Store) -> None:
        assert await store.load_state("account:main") is None
        await store.save_state("account:main", {"level": 1}, NOW)
        await store.save_state("account:main", {"level": 2}, NOW + 1)
        assert await store.load_state("account:main") == ({"level": 2}, NOW + 1)

    async def test_old_ones_are_forgotten(self, store: Store) -> None:
        for at, name in enumerate(("s:a", "s:b", "t:a")):
            await store.save_state(name, {}, NOW + at)
        assert await store.drop_states("s:", NOW + 1) == 1
        assert list(await store.states("s:")) == ["b"]
        assert await store.drop_states("s:b", NOW + 9) == 1
        assert await store.load_state("t:a") is not None
