"""What every store does when people pause, choose and change."""

from __future__ import annotations

from typing import Any

from laneway.store.interface import Store
from laneway.store.steering import Change, Pause, PauseKind, Selector, Waiting
from laneway.task import Failure, FailureClass, Outcome, Route, Spec, State, Urgency, WaitReason, Wire
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
    sound,
)


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
