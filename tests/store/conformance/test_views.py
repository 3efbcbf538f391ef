"""What every store shows of tasks, runs and failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from laneway.store import paging, views
from laneway.store.interface import Store
from laneway.store.steering import Selector
from laneway.store.views import TaskLine
from laneway.task import Failure, FailureClass, NewTask, Spec, State, Urgency, Wire
from tests.store.conftest import OpenStore
from tests.store.helpers import LEASE, NOW, PYTHON, ROUTE, claim, finish, new, open_run, run_with, sound, tamper

LIMIT = Failure(FailureClass.TRANSIENT, "rate_limit_exceeded", "slow down", 429)
BAD = Failure(FailureClass.REQUEST, "bad", "no good", 400)
STRONG = ROUTE._replace(model="strong", lane="special", urgency=Urgency.URGENT)
FAILED = (State.FAILED,)


async def failed(store: Store, tasks: list[NewTask], failure: Failure = BAD, **options: Any) -> list[int]:
    """A run of them, all failed; their ids."""
    run = await run_with(store, tasks, **options)
    claimed = [task for task in await claim(store) if task.run_id == run.id]
    await finish(store, claimed, State.FAILED, failure=failure)
    return sorted(task.id for task in claimed)


async def page(store: Store, cursor: int | None = None, limit: int = 100, **filter: Any) -> list[str | None]:
    return [one.key for one in (await store.list_tasks(Selector(**filter), cursor, limit)).tasks]


async def every(store: Store, limit: int, filter: Selector) -> list[TaskLine]:
    found: list[TaskLine] = []
    cursor: int | None = None
    while True:
        some = await store.list_tasks(filter, cursor, limit)
        found += some.tasks
        assert len(some.tasks) <= limit
        if some.next is None:
            return found
        assert cursor is None or some.next < cursor
        cursor = some.next


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    store = await open_store()
    await store.join("w", LEASE, NOW)
    return store


class TestFailures:
    async def test_failures_are_counted_by_kind_with_the_newest_of_each(self, store: Store) -> None:
        ids = await failed(store, [new("a", "1"), new("b", "2"), new("c", "3", route=STRONG)])
        other = await failed(store, [new("x", "9")], LIMIT, identity="other")
        groups = await store.failure_groups()
        assert [(one.cls, one.code, one.type, one.model, one.lane, one.tasks) for one in groups[:1]] == [
            ("request", "bad", "chat", "small", "general", 2)
        ]
        assert {(one.model, one.code, one.tasks, one.example) for one in groups[1:]} == {
            ("strong", "bad", 1, ids[-1]),
            ("small", "rate_limit_exceeded", 1, other[0]),
        }
        assert groups[0].message == "no good"
        assert [one.tasks for one in await store.failure_groups(run_id=groups[0].run_id)] == [2, 1]

    async def test_tasks_that_are_tried_again_count_no_more(self, store: Store) -> None:
        ids = await failed(store, [new("a", "1"), new("b", "2")])
        await store.retry([ids[0]], NOW)
        assert [one.tasks for one in await store.failure_groups()] == [1]
        await finish(store, await claim(store), State.FAILED, failure=LIMIT)
        assert {(one.code, one.tasks) for one in await store.failure_groups()} == {
            ("bad", 1),
            ("rate_limit_exceeded", 1),
        }
        await sound(store)

    async def test_a_failure_after_several_tries_is_counted_where_it_ended(self, store: Store) -> None:
        await run_with(store, [new("a")])
        await finish(store, await claim(store), State.READY, model="strong")
        await finish(store, await claim(store), State.FAILED)
        assert [(one.model, one.tasks) for one in await store.failure_groups()] == [("strong", 1)]

    async def test_tasks_given_up_since_workers_died_count_too(self, open_store: OpenStore, store: Store) -> None:
        spec, route = PYTHON
        await run_with(store, [new("killer", spec=spec, route=route)])
        reaper = await open_store()
        await reaper.join("reaper", 1000.0, NOW)
        for death in range(3):
            name = f"victim{death}"
            await store.join(name, LEASE, NOW + death * 1000)
            assert await claim(store, name, now=NOW + death * 1000)
            await reaper.reap("reaper", NOW + death * 1000 + 2000)
        assert [(one.cls, one.code) for one in await store.failure_groups()] == [("poison", "worker_died")]

    async def test_what_left_its_run_counts_no_more_until_it_comes_back(self, store: Store) -> None:
        await failed(store, [new("a", "1"), new("b", "2")])
        await run_with(store, [new("b", "2")])  # and queues it again
        assert await store.failure_groups() == []
        assert await page(store, states=FAILED) == []
        await run_with(store, [new("a", "1"), new("b", "2")])
        assert await store.failure_groups() == []
        await finish(store, await claim(store), State.FAILED)
        assert [one.tasks for one in await store.failure_groups()] == [2]

    async def test_those_of_a_version_before_are_found_and_given_their_kind(self, store: Store) -> None:
        ids = await failed(store, [new("a", "1"), new("b", "2")])
        await tamper(store, "UPDATE {0}task SET failure_id = NULL")
        asked = Selector(states=FAILED, codes=("bad",))
        assert await store.select(asked) == ids
        assert await store.count_tasks(asked) == {State.FAILED: 2}
        assert await page(store, states=FAILED, classes=("request",)) == ["b", "a"]
        assert await store.select(asked._replace(codes=("worse",))) == []
        assert [(one.code, one.tasks) for one in await store.failure_groups()] == [("bad", 2)]
        assert await store.select(asked) == ids

    async def test_many_of_a_version_before_are_counted_before_their_kind_is_known(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for place in ("sqlite", "postgres"):
            monkeypatch.setattr(f"laneway.store.{place}.failing.FILLED", 2)
        await failed(store, [new(str(n), str(n)) for n in range(5)])
        await tamper(store, "UPDATE {0}task SET failure_id = NULL")
        assert [(one.cls, one.tasks) for one in await store.failure_groups()] == [("request", 2), ("", 3)]
        await store.failure_groups()
        assert [(one.cls, one.tasks) for one in await store.failure_groups()] == [("request", 5)]

    async def test_processes_that_fail_the_same_way_at_once_share_a_kind(self, open_store: OpenStore) -> None:
        stores = [await open_store() for _ in range(3)]
        run = await run_with(stores[0], [new(str(n), str(n)) for n in range(30)])
        taken = []
        for n, store in enumerate(stores):
            await store.join(f"w{n}", LEASE, NOW)
            taken.append(await claim(store, f"w{n}", 10))
        await asyncio.gather(*(finish(s, taken[n], State.FAILED, f"w{n}") for n, s in enumerate(stores)))
        assert [(one.run_id, one.tasks) for one in await stores[0].failure_groups()] == [(run.id, 30)]

    async def test_a_code_may_be_anything(self, store: Store) -> None:
        odd = Failure(FailureClass.CODE, "x\x00'\"{,}%s ?1 \\" + "y" * 5000, "")
        await failed(store, [new("a")], odd)
        (group,) = await store.failure_groups()
        assert await store.select(Selector(states=FAILED, codes=(group.code,))) == [group.example]
        assert len(group.code) == views.LONGEST_CODE

    async def test_choosing_by_kind_goes_with_all_other_conditions(self, store: Store) -> None:
        ids = await failed(
            store, [new("a1", "1", tags=("x",)), new("a2", "2"), new("b", "3", route=STRONG), new("c", "4")]
        )
        await store.retry([ids[-1]], NOW)
        await store.cancel([ids[-1]], NOW)

        async def chosen(**filter: Any) -> list[int]:
            selector = Selector(**filter)
            found = await store.select(selector)
            assert (
                sum((await store.count_tasks(selector)).values()) == len(found) == (await store.extent(selector)).tasks
            )
            return [ids.index(id_) for id_ in found]

        assert await chosen(states=FAILED, classes=("request",)) == [0, 1, 2]
        assert await chosen(states=FAILED, classes=("request",), tags=("x",)) == [0]
        assert await chosen(states=FAILED, urgencies=(Urgency.URGENT,)) == [2]
        assert await chosen(states=FAILED, keys=("a*",)) == [0, 1]
        assert await chosen(states=FAILED, lanes=("special",), codes=("bad",)) == [2]
        assert await chosen(states=FAILED, types=("other",)) == []
        assert await chosen(states=(State.FAILED, State.CANCELLED), classes=("request",)) == [0, 1, 2, 3]
        assert await chosen(ids=(ids[1], ids[3]), states=FAILED) == [1]


class TestLists:
    async def test_every_condition_holds_and_pages_are_complete(self, store: Store, monkeypatch: Any) -> None:
        """Against all that there is, chosen in Python, through each way of finding."""
        work = Spec("work", Wire.CHAT)
        tasks = [
            new(f"k{n}", str(n), spec=work if n % 3 else Spec("chat", Wire.CHAT), route=STRONG if n % 2 else ROUTE,
                tags=("odd",) if n % 2 else ("even", "x"))
            for n in range(40)
        ]  # fmt: skip
        run = await run_with(store, tasks)
        other = await run_with(store, [new(f"o{n}", str(n)) for n in range(7)], identity="other")
        claimed = await claim(store, n=10)
        for n, task in enumerate(claimed[:-3]):
            await finish(store, [task], State.FAILED if n % 2 else State.SUCCEEDED, failure=BAD if n % 4 else LIMIT)
        await store.cancel([(await store.find_task("k39")).id], NOW)
        everything = await every(store, 100, Selector())
        assert len(everything) == 47
        filters = [
            Selector(run_id=run.id),
            Selector(run_id=other.id, states=(State.READY,)),
            Selector(states=FAILED),
            Selector(states=FAILED, classes=("request",), run_id=run.id),
            Selector(states=(State.SUCCEEDED, State.FAILED), models=("strong",)),
            Selector(states=(State.RUNNING,)),
            Selector(states=(State.CANCELLED,)),
            Selector(states=(State.READY,), types=("work",)),
            Selector(tags=("x",), lanes=("general",)),
            Selector(urgencies=(Urgency.URGENT,)),
            Selector(keys=("k1", "k2", "o3")),
            Selector(keys=("k1*",), states=(State.READY, State.RUNNING)),
            Selector(ids=tuple(one.id for one in everything[:9])),
            Selector(ids=()),
            Selector(types=("nothing",)),
        ]
        for sorted_, looked_at in ((50_000, 10_000), (0, 10_000), (50_000, 9), (0, 9)):
            monkeypatch.setattr(paging, "LOOKED_AT", looked_at)
            for place in ("sqlite", "postgres"):
                monkeypatch.setattr(f"laneway.store.{place}.listing.SORTED", sorted_)
            for filter in filters:
                wanted = [one for one in everything if meant(one, filter)]
                for limit in (3, 100):
                    assert await every(store, limit, filter) == wanted, (filter, limit)
                assert sum((await store.count_tasks(filter)).values()) == len(wanted), filter
                assert await store.select(filter) == sorted(one.id for one in wanted)

    async def test_a_line_says_how_a_task_stands(self, store: Store) -> None:
        await run_with(store, [new("a", tags=("t",), team="red", deadline=NOW + 60)])
        (ready,) = (await store.list_tasks(Selector(), None, 9)).tasks
        assert (ready.state, ready.settled_at, ready.cost, ready.error) == (State.READY, None, None, None)
        assert (ready.type, ready.model, ready.lane, ready.urgency) == ("chat", "small", "general", Urgency.STANDARD)
        assert (ready.tags, ready.team, ready.submitted_at, ready.deadline) == (("t",), "red", NOW, NOW + 60)
        await finish(store, await claim(store), State.FAILED, cost=0.5)
        (line,) = (await store.list_tasks(Selector(), None, 9)).tasks
        assert (line.state, line.settled_at, line.cost, line.attempts) == (State.FAILED, NOW, 0.5, 1)
        assert line.error is not None
        assert (line.error["class"], line.error["message"]) == ("request", "no good")

    async def test_a_run_without_keys_is_found_whole(self, store: Store) -> None:
        run = await open_run(store)
        done = await store.submit(run, [new(None, str(n)) for n in range(3)] + [new("k", "k")], NOW)
        lines = await every(store, 2, Selector(run_id=run.id))
        assert [one.id for one in lines] == sorted(done.ids, reverse=True)


class TestTeams:
    async def test_a_team_is_shown_what_is_in_its_runs(self, store: Store) -> None:
        for team in ("red", "blue", None):
            run = await store.open_run(f"run {team}", info={"team": team, "kind": "serve"}, max_cost=None, now=NOW)
            await store.submit(run, [new(f"of {team}", "1"), new(f"more {team}", "2", route=STRONG)], NOW)
            await store.seal_run(run, NOW)
        await finish(store, [task for task in await claim(store) if task.key and "of" in task.key], State.FAILED)
        assert await page(store, team="red") == ["more red", "of red"]
        assert await page(store, team=None) == ["more None", "of None"]
        assert await page(store, team="red", states=FAILED) == ["of red"]
        assert await store.count_tasks(Selector(team="red")) == {State.RUNNING: 1, State.FAILED: 1}
        assert await store.count_tasks(Selector(states=FAILED)) == {State.FAILED: 3}
        assert [one.tasks for one in await store.failure_groups(team="red")] == [1]
        assert len(await store.failure_groups()) == 3
        assert [one.identity for one in await store.list_runs(None, 9, team="blue")] == ["run blue"]
        assert {(one.lane, sum(one.counts.values())) for one in await store.depths(team="red")} == {
            ("general", 1),
            ("special", 1),
        }

    async def test_runs_are_listed_newest_first_by_kind(self, store: Store) -> None:
        runs = [
            await store.open_run(str(n), info={"kind": "api" if n % 2 else "file"}, max_cost=None, now=NOW)
            for n in range(5)
        ]
        assert [one.identity for one in await store.list_runs(None, 2)] == ["4", "3"]
        assert [one.identity for one in await store.list_runs(runs[3].id, 9)] == ["2", "1", "0"]
        assert [one.identity for one in await store.list_runs(None, 9, kind="api")] == ["3", "1"]


class TestCounters:
    async def test_runs_tell_how_far_they_are(self, store: Store) -> None:
        one = await run_with(store, [new("a", "1"), new("b", "2")])
        other = await run_with(store, [new("c", "3")], identity="other")
        await finish(store, (await claim(store))[:1])
        counts = await store.run_counts([one.id, other.id])
        assert sum(counts[one.id].values()) == 2
        assert counts[other.id] == {State.RUNNING: 1}
        assert await store.run_counts([]) == {}

    async def test_lanes_tell_how_deep_they_are_and_how_long_the_first_waits(self, store: Store) -> None:
        run = await run_with(store, [new("a", "1", NOW + 50)])
        await store.submit(run, [new("b", "2", NOW + 60), new("c", "3", route=STRONG)], NOW + 30)
        depths = {(one.model, one.lane, one.urgency): dict(one.counts) for one in await store.depths()}
        assert depths == {
            ("small", "general", Urgency.STANDARD): {State.READY: 2},
            ("strong", "special", Urgency.URGENT): {State.READY: 1},
        }
        assert await store.oldest_ready() == {"general": NOW, "special": NOW + 30}
        await claim(store)
        assert await store.oldest_ready() == {}

    async def test_the_newest_tasks_tell_which_way_they_went(self, store: Store) -> None:
        await run_with(store, [new("a", "1"), new("b", "2"), new("c", "3", route=STRONG)])
        legal = await store.open_run("legal", info={"team": "legal"}, max_cost=None, now=NOW)
        await store.submit(legal, [new("d", "4", route=STRONG)], NOW)
        question = new("q", "5", spec=Spec("laneway.classify", Wire.CHAT))
        await store.ask(legal, [question], [[]], NOW)
        assert {one.route.lane: one.tasks for one in await store.newest_routes(100)} == {"general": 2, "special": 2}
        assert [tuple(one) for one in await store.newest_routes(3)] == [(STRONG, 2)], "the question is looked at"
        assert [(one.route, one.tasks) for one in await store.newest_routes(9, team="legal")] == [(STRONG, 1)]

    async def test_workers_say_of_themselves_what_goes_with_them(self, store: Store) -> None:
        await store.describe_worker("w", {"most": 5}, NOW)
        await store.describe_worker("w", {"most": 7}, NOW + 1)
        assert await store.states("worker:") == {"w": ({"most": 7}, NOW + 1)}
        await store.leave("w", NOW + 2)
        await store.join("next", LEASE, NOW + 2)
        await store.describe_worker("next", {}, NOW + 2)
        assert list(await store.states("worker:")) == ["next"]


def meant(one: TaskLine, s: Selector) -> bool:
    """By what its line says."""
    error = one.error or {}
    return (
        (s.ids is None or one.id in s.ids)
        and s.run_id in (None, one.run_id)
        and all(
            not wanted or found in wanted
            for wanted, found in (
                (s.states, one.state),
                (s.types, one.type),
                (s.models, one.model),
                (s.lanes, one.lane),
                (s.urgencies, one.urgency),
                (s.classes, error.get("class")),
            )
        )
        and (not s.tags or bool(set(s.tags) & set(one.tags)))
        and (
            not s.keys or any((one.key or "").startswith(key[:-1]) if "*" in key else key == one.key for key in s.keys)
        )
    )
