"""What every store shows of flows: which there are, of what types, their steps, and the last one of a name."""

from __future__ import annotations

from laneway.store.flows import Event, Suspension
from laneway.store.interface import Store
from laneway.task import CLASSIFY, FLOW, NEW_FLOW, RESTING_FLOW, Route, Spec, State, Urgency, WaitReason, Wire
from tests.store.conformance.test_flows import begin, end, ended, flow, of_names, suspend
from tests.store.helpers import NOW, claim, new, open_run, sound


class TestFlowsOfARun:
    async def test_come_with_what_needs_a_look_first(self, store: Store) -> None:
        run, tasks = await begin(store, *(flow(key) for key in ("done", "waits", "failed", "runs", "newer")))
        done, waits, failed, runs, newer = tasks
        await store.submit(run, [flow("new")], NOW)
        await end(store, [done], flow=Suspension(0, NOW, ended=True))
        await end(store, [newer], flow=Suspension(0, NOW, ended=True))
        await end(store, [failed], State.FAILED, flow=Suspension(0, NOW, ended=True))
        await suspend(store, waits, Suspension(0, NOW, reason=WaitReason.EVENT))
        order = await store.flows(run.id, 10)
        assert order[:-1] == [runs.id, waits.id, failed.id, newer.id, done.id]
        assert await store.flows(run.id, 2) == [runs.id, waits.id]
        assert await store.flows(run.id, 10, ended=True) == [newer.id, done.id]
        assert await store.flows(run.id + 1, 10) == []

    async def test_are_counted_by_type_with_what_they_began(self, store: Store) -> None:
        run, (task,) = await begin(store)
        await suspend(store, task, of_names("a", "b", parent=task.id))
        a, _ = await claim(store)
        await ended(store, a)
        question = new("q", "{}", spec=Spec(CLASSIFY, Wire.CHAT), route=Route("general", Urgency.STANDARD, "small"))
        await store.ask(run, [question], [[task.id]], NOW)
        assert sorted(tuple(one) for one in await store.shape(run.id)) == [
            ("a", False, State.SUCCEEDED, 1),
            ("b", False, State.RUNNING, 1),
            ("report", True, State.WAITING, 1),
        ]


async def test_a_tree_says_in_which_step_each_child_was_begun(store: Store) -> None:
    _, (task,) = await begin(store)
    await suspend(store, task, of_names("a", parent=task.id))
    await ended(store, (await claim(store))[0])
    (again,) = await claim(store)
    await suspend(store, again, of_names("b", step=1, parent=task.id, heard=["a"]))
    assert [(one.name, one.step, one.parent) for one in await store.trees([task.id])] == [
        ("f", None, None),
        ("a", 0, task.id),
        ("b", 1, task.id),
    ]
    past = (await store.chronicles([task.id]))[task.id]
    assert [(one.number, one.heard) for one in past.steps] == [(0, ()), (1, ("a",))]


async def test_of_a_large_tree_what_is_nearest_to_its_root_is_told(store: Store) -> None:
    _, (task,) = await begin(store)
    await suspend(store, task, of_names("a", "b", "c", parent=task.id))
    assert [one.name for one in await store.trees([task.id], 3)] == ["f", "a", "b"]
    assert [one.name for one in await store.trees([task.id], 9)] == ["f", "a", "b", "c"]
    assert [one.name for one in await store.trees([task.id], 1)] == ["f"]


async def test_what_was_said_is_in_the_chronicle(store: Store) -> None:
    _, (task, other) = await begin(store, flow("f"), flow("g"))
    event = Event("approval", b'{"by":"Ann"}', NOW)
    await store.send_event(task.id, event, NOW)
    found = await store.chronicles([task.id, other.id])
    assert found[task.id].events == [event]
    assert found[other.id].events == []


async def test_the_last_flow_of_a_name_is_found(store: Store) -> None:
    run, tasks = await begin(store, flow("f"), flow("g"))
    assert await store.last_flow("report") == (max(task.id for task in tasks), run.id)
    assert await store.last_flow("chat") is None


async def test_a_flow_that_has_begun_stays_among_those_when_its_run_is_submitted_again(store: Store) -> None:
    run, tasks = await begin(store, flow("f"), flow("g"))
    await suspend(store, tasks[0], of_names("a", parent=tasks[0].id))
    await suspend(store, tasks[1], Suspension(0, NOW, reason=WaitReason.EVENT))
    assert await store.open_flows() == 1
    run = await open_run(store)
    await store.submit(run, [flow("f"), flow("g"), flow("new")], NOW, held=True)
    await store.seal_run(run, NOW)
    assert await store.open_flows() == 1
    models = [task.model for task in await store.get_tasks([task.id for task in tasks])]
    assert models == [FLOW, RESTING_FLOW]
    assert [(head.model, head.ready) for head in await store.peek(NOW, depth=5) if head.model == NEW_FLOW] == [
        (NEW_FLOW, 1)
    ]
    await sound(store)
