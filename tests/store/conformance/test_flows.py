"""What every store promises of flows: children, waits, what was heard, and the calling off of what nobody wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from laneway.errors import NotFoundError
from laneway.store.flows import Ask, Child, Event, Heard, Suspension, WaitGroup
from laneway.store.interface import Store
from laneway.store.runs import Run
from laneway.task import (
    FLOW,
    NEW_FLOW,
    RESTING_FLOW,
    Claimed,
    NewTask,
    Outcome,
    Route,
    Settlement,
    Spec,
    State,
    Urgency,
    WaitReason,
    Wire,
)
from tests.store.helpers import LEASE, NOW, claim, counts, finish, open_run, sound

FLOWS: dict[str, Any] = {
    "spec": Spec("report", Wire.PYTHON),
    "route": Route("general", Urgency.STANDARD, NEW_FLOW),
}


def flow(key: str | None = "f", **more: Any) -> NewTask:
    return NewTask(body=b"{}", due_at=NOW, key=key, **{**FLOWS, **more})


def child(name: str, parent: int, model: str = "small", **more: Any) -> Child:
    route = Route("general", Urgency.STANDARD, model)
    wire = Wire.CHAT if model == "small" else Wire.PYTHON
    return Child(name, NewTask(name.encode(), Spec(name, wire), route, NOW - 1, parent=parent, **more))


async def begin(store: Store, *tasks: NewTask) -> tuple[Run, list[Claimed]]:
    """Flows, claimed for their first step."""
    run = await open_run(store)
    await store.submit(run, tasks or [flow()], NOW)
    await store.join("w", LEASE, NOW)
    return run, await claim(store)


async def suspend(store: Store, task: Claimed, left: Suspension, worker: str = "w") -> bool:
    done = Settlement(task.id, task.fence, State.WAITING, Outcome.OK, NOW, 0.01, cost=0.0)
    done.burned = done.counted = False
    done.flow, done.parent, done.wake_at = left, task.parent, left.wake_at
    return (await store.settle(worker, [done], NOW))[0]


async def end(store: Store, tasks: Sequence[Claimed], state: State = State.SUCCEEDED, **more: Any) -> None:
    assert all(await finish(store, tasks, state, **more))


async def ended(store: Store, task: Claimed, state: State = State.SUCCEEDED) -> None:
    """A child ends as a worker settles it."""
    done = Settlement(task.id, task.fence, state, Outcome.OK, NOW, 0.5, output=task.body, parent=task.parent)
    assert await store.settle("w", [done], NOW) == [True]


def of_names(*names: str, step: int = 0, need: int | None = None, parent: int, **more: Any) -> Suspension:
    """All of these begin, and are waited for together."""
    group = WaitGroup(names, len(names) if need is None else need, more.pop("eager", False))
    begun = [child(name, parent) for name in names]
    return Suspension(step, NOW, begun=begun, waits_for=[group], **more)


async def look(store: Store, id_: int) -> tuple[State, WaitReason | None, str]:
    (task,) = await store.get_tasks([id_])
    return task.state, task.wait_reason, task.model


async def news(store: Store, flow_id: int, *names: str, events: int = 0) -> tuple[list[Heard], list[Event]]:
    found = (await store.arrived([Ask(flow_id, names, events)]))[flow_id]
    return found.children, found.events


class TestWaiting:
    async def test_a_flow_waits_held_by_nobody_until_all_its_children_have_ended(self, store: Store) -> None:
        run, (task,) = await begin(store)
        assert (task.model, task.parent) == (NEW_FLOW, None)
        assert await suspend(store, task, of_names("a", "b", parent=task.id))
        assert await look(store, task.id) == (State.WAITING, WaitReason.CHILDREN, FLOW)
        a, b = await claim(store)
        assert [a.parent, b.parent, a.spec.type, b.run_id] == [task.id, task.id, "a", run.id]
        await ended(store, a)
        assert (await look(store, task.id))[0] is State.WAITING
        await ended(store, b)
        assert await look(store, task.id) == (State.READY, None, FLOW)
        heard, events = await news(store, task.id, "a", "b")
        assert sorted((one.name, one.state, one.output) for one in heard) == [
            ("a", State.SUCCEEDED, b"a"),
            ("b", State.SUCCEEDED, b"b"),
        ]
        assert events == []
        await sound(store)

    async def test_children_are_in_no_count_and_no_result_of_their_run(self, store: Store) -> None:
        run, (task,) = await begin(store)
        await suspend(store, task, of_names("a", parent=task.id))
        await ended(store, (await claim(store))[0])
        (again,) = await claim(store)
        assert await counts(store, run) == {State.RUNNING: 1}
        await end(store, [again], flow=Suspension(1, NOW, ended=True))
        assert [result.key for result in await store.results_after(run, 0, 10)] == ["f"]

    async def test_one_of_several_is_enough_where_one_is_asked_for(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, of_names("a", "b", need=1, parent=task.id))
        a, _ = await claim(store)
        await ended(store, a)
        assert (await look(store, task.id))[0] is State.READY

    @pytest.mark.parametrize("eager", [True, False])
    async def test_a_failed_child_wakes_who_cannot_go_on_without_it(self, store: Store, *, eager: bool) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, of_names("a", "b", eager=eager, parent=task.id))
        a, _ = await claim(store)
        await ended(store, a, State.FAILED)
        assert (await look(store, task.id))[0] is (State.READY if eager else State.WAITING)

    async def test_what_has_ended_before_the_flow_waits_for_it_does_not_hold_it(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, of_names("a", "b", need=1, parent=task.id))
        a, b = await claim(store)
        await ended(store, a)
        (task,) = await claim(store)
        await ended(store, b)
        left = Suspension(1, NOW, heard=["a"], begun=[], waits_for=[WaitGroup(("b",), 1)])
        await suspend(store, task, left)
        assert await look(store, task.id) == (State.READY, None, FLOW)
        await sound(store)

    async def test_of_a_step_that_was_somebody_elses_by_then_nothing_is_written(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await store.leave("w", NOW)
        await store.join("v", LEASE, NOW)
        (taken,) = await claim(store, "v")
        assert not await suspend(store, task, of_names("a", parent=task.id))
        assert (await store.history(task.id)).children == {}
        assert await suspend(store, taken, of_names("a", parent=task.id), worker="v")

    async def test_it_is_woken_at_its_time(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, Suspension(0, NOW, wake_at=NOW + 60, reason=WaitReason.SCHEDULED))
        assert await look(store, task.id) == (State.WAITING, WaitReason.SCHEDULED, RESTING_FLOW)
        assert await store.wake(NOW) == NOW + 60
        await store.wake(NOW + 60)
        assert (await look(store, task.id))[0] is State.READY


class TestEvents:
    async def test_an_event_wakes_the_flow_and_is_kept_for_it(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, Suspension(0, NOW, reason=WaitReason.EVENT))
        assert await look(store, task.id) == (State.WAITING, WaitReason.EVENT, RESTING_FLOW)
        event = Event("approved", b'{"by":"eva"}', NOW + 1)
        assert await store.send_event(task.id, event, NOW + 1)
        assert (await look(store, task.id))[0] is State.READY
        assert await news(store, task.id) == ([], [event])
        assert await news(store, task.id, events=1) == ([], [])

    async def test_one_that_comes_while_the_flow_runs_is_not_missed(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await store.send_event(task.id, Event("approved", b"1", NOW), NOW)
        await suspend(store, task, Suspension(0, NOW, events=0, reason=WaitReason.EVENT))
        assert (await look(store, task.id))[0] is State.READY

    async def test_before_the_flow_begins_it_only_waits_there(self, store: Store) -> None:
        run = await open_run(store)
        (id_,) = (await store.submit(run, [flow(wake_at=NOW + 99)], NOW)).ids
        assert await store.send_event(id_, Event("approved", b"1", NOW), NOW)
        assert (await look(store, id_))[0] is State.WAITING
        assert len((await store.history(id_)).events) == 1

    async def test_who_has_ended_hears_nothing(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await end(store, [task], flow=Suspension(0, NOW, ended=True))
        assert not await store.send_event(task.id, Event("late", b"1", NOW), NOW)
        with pytest.raises(NotFoundError):
            await store.send_event(4711, Event("late", b"1", NOW), NOW)


class TestHistory:
    async def test_holds_what_was_done_and_heard_in_order(self, store: Store) -> None:
        _, (task,) = await begin(store, flow(tags=("x",), team="blue"))
        assert (task.tags, task.team) == (("x",), "blue")
        await suspend(store, task, of_names("a", "b", need=1, parent=task.id))
        a, _ = await claim(store)
        await ended(store, a)
        (task,) = await claim(store)
        await suspend(store, task, of_names("c", step=1, heard=["a", "timer#0"], events=0, parent=task.id))
        history = await store.history(task.id)
        assert [(step.number, step.at, step.heard) for step in history.steps] == [
            (0, NOW, ()),
            (1, NOW, ("a", "timer#0")),
        ]
        assert {name: one.state for name, one in history.children.items()} == {
            "a": State.SUCCEEDED,
            "b": State.RUNNING,
            "c": State.READY,
        }

    async def test_the_tree_shows_parents_before_their_children(self, store: Store) -> None:
        _, (task,) = await begin(store)
        inner = child("inner", task.id, FLOW)
        await suspend(store, task, Suspension(0, NOW, begun=[inner], waits_for=[WaitGroup(("inner",), 1)]))
        (nested,) = await claim(store)
        await suspend(store, nested, of_names("leaf", parent=nested.id))
        nodes = await store.tree(task.id)
        assert [(node.parent, node.name, node.is_flow) for node in nodes] == [
            (None, "f", True),
            (task.id, "inner", True),
            (nested.id, "leaf", False),
        ]
        assert nodes[0].started_at == NOW
        assert nodes[2].started_at is None


class TestCallingOff:
    async def test_a_flow_that_is_cancelled_takes_its_whole_tree_with_it(self, store: Store) -> None:
        _, (task,) = await begin(store)
        inner = child("inner", task.id, FLOW)
        await suspend(store, task, Suspension(0, NOW, begun=[inner], waits_for=[WaitGroup(("inner",), 1)]))
        (nested,) = await claim(store)
        await suspend(store, nested, of_names("a", "b", parent=nested.id))
        running = (await claim(store, n=1))[0]
        assert await store.cancel([task.id], NOW) == 1
        states = {node.name: node.state for node in await store.tree(task.id)}
        assert states.pop(running.spec.type) is State.RUNNING, "what runs is asked to end, its answer is kept"
        assert set(states.values()) == {State.CANCELLED}
        await ended(store, running)
        await sound(store)

    async def test_a_flow_that_fails_calls_off_what_it_has_under_way(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, of_names("a", "b", need=1, parent=task.id))
        a, b = await claim(store)
        await ended(store, a)
        await finish(store, [b], State.WAITING, wake_at=NOW + 5)
        (task,) = await claim(store)
        await end(store, [task], State.FAILED, flow=Suspension(1, NOW, ended=True))
        assert (await look(store, b.id))[0] is State.CANCELLED
        await sound(store)

    async def test_a_cancelled_child_is_told_to_its_flow(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, of_names("a", parent=task.id))
        (node,) = [node for node in await store.tree(task.id) if node.parent]
        assert await store.cancel([node.task_id], NOW) == 1
        assert (await look(store, task.id))[0] is State.READY
        ((heard,), _) = await news(store, task.id, "a")
        assert heard.state is State.CANCELLED

    async def test_one_that_is_not_wanted_any_more_goes_while_the_flow_goes_on(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, of_names("a", "b", need=1, parent=task.id))
        a = (await claim(store, n=1))[0]
        await ended(store, a)
        b, task = sorted(await claim(store), key=lambda one: one.model == FLOW)
        await suspend(store, task, of_names("c", step=1, heard=["a"], called_off=["b"], parent=task.id))
        await finish(store, [b], State.WAITING, wake_at=NOW + 5)
        states = {node.name: node.state for node in await store.tree(task.id)}
        assert (states["b"], states["c"]) == (State.CANCELLED, State.READY)

    async def test_a_run_that_forgets_a_flow_forgets_its_children(self, store: Store) -> None:
        run, (task,) = await begin(store)
        await suspend(store, task, of_names("a", parent=task.id))
        run = await open_run(store)
        await store.submit(run, [flow("other")], NOW, held=True)
        await store.seal_run(run, NOW)
        assert {node.state for node in await store.tree(task.id)} == {State.CANCELLED}
        await sound(store)


class TestAgain:
    async def test_a_retried_flow_keeps_what_went_well_and_tries_again_what_did_not(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, of_names("good", "bad", parent=task.id))
        good, bad = sorted(await claim(store), key=lambda one: one.spec.type == "bad")
        await ended(store, good)
        await ended(store, bad, State.FAILED)
        (task,) = await claim(store)
        await end(store, [task], State.FAILED, flow=Suspension(1, NOW, ended=True))
        assert await store.retry([task.id], NOW) == 1
        history = await store.history(task.id)
        assert history.steps == []
        assert {name: one.state for name, one in history.children.items()} == {
            "good": State.SUCCEEDED,
            "bad": State.FAILED,
        }
        (task,) = await claim(store)
        left = Suspension(0, NOW, again=["bad"], waits_for=[WaitGroup(("good", "bad"), 2)])
        await suspend(store, task, left)
        assert (await look(store, task.id))[0] is State.WAITING
        (bad,) = await claim(store)
        assert bad.spec.type == "bad"
        await ended(store, bad)
        assert (await look(store, task.id))[0] is State.READY
        await sound(store)

    async def test_what_a_changed_function_does_not_begin_any_more_is_marked_and_called_off(self, store: Store) -> None:
        _, (task,) = await begin(store)
        await suspend(store, task, of_names("old", parent=task.id))
        await store.send_event(task.id, Event("go", b"1", NOW), NOW)
        old, task = sorted(await claim(store), key=lambda one: one.model == FLOW)
        left = of_names("new", step=1, events=1, parent=task.id)
        left.orphans = ["old"]
        await suspend(store, task, left)
        await finish(store, [old], State.WAITING, wake_at=NOW + 5)
        nodes = {node.name: node for node in await store.tree(task.id)}
        assert (nodes["old"].state, nodes["new"].state) == (State.CANCELLED, State.READY)
        assert (nodes["old"].orphaned, nodes["new"].orphaned) == (True, False)


async def test_open_flows_are_those_that_have_begun_and_do_not_rest(store: Store) -> None:
    _, tasks = await begin(store, *(flow(str(i)) for i in range(4)))
    assert await store.open_flows() == 4, "in their first step"
    await suspend(store, tasks[0], of_names("a", parent=tasks[0].id))
    await suspend(store, tasks[1], Suspension(0, NOW, reason=WaitReason.EVENT))
    await end(store, [tasks[2]], flow=Suspension(0, NOW, ended=True))
    assert await store.open_flows() == 2
    await store.submit(await open_run(store, "other"), [flow("new")], NOW)
    assert await store.open_flows() == 2, "one that has not begun"


async def test_a_flow_whose_worker_dies_is_told_by_its_children_all_the_same(store: Store) -> None:
    _, (task,) = await begin(store)
    await suspend(store, task, of_names("a", parent=task.id))
    (a,) = await claim(store)
    await ended(store, a)
    (again,) = await claim(store)
    await store.leave("w", NOW)
    await store.join("v", LEASE, NOW)
    (taken,) = await claim(store, "v")
    assert (taken.id, taken.fence) == (task.id, again.fence + 1)
    ((heard,), _) = await news(store, task.id, "a")
    assert heard.state is State.SUCCEEDED


async def test_the_results_of_children_are_kept_while_their_flow_may_ask_for_them(store: Store) -> None:
    _, (task,) = await begin(store)
    await suspend(store, task, of_names("a", parent=task.id))
    await ended(store, (await claim(store))[0])
    later = NOW + 1000
    await store.prune(later)
    ((heard,), _) = await news(store, task.id, "a")
    assert heard.output == b"a"
    (again,) = await claim(store)
    await end(store, [again], flow=Suspension(1, NOW, ended=True))
    await store.prune(later)
    ((heard,), _) = await news(store, task.id, "a")
    assert heard.output is None
