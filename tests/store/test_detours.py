"""Tasks that go to another model of their route, in every store."""

from __future__ import annotations

from laneway.store.detours import Detour
from laneway.store.interface import Store
from laneway.task import Route, State, Urgency
from tests.store.helpers import LEASE, NOW, claim, counts, finish, new, run_with, sound

ALONE = Route("general", Urgency.STANDARD, "small")
LONG = Route("general", Urgency.STANDARD, "small", fallbacks=("strong", "best"))


async def cell(store: Store, model: str = "small") -> int:
    (found,) = [one.cell_id for one in await store.tally() if one.model == model]
    return found


async def test_strays_are_the_next_tasks_with_a_further_model_in_order(store: Store) -> None:
    await run_with(
        store,
        [
            new("late", "{1}", NOW + 9),
            new("alone", "{2}", NOW + 1, route=ALONE),
            new("first", "{3}", NOW, input_tokens=7, output_tokens=8),
            new("long", "{4}", NOW + 2, route=LONG),
        ],
    )
    here = await cell(store)
    seen = await store.strays(here, None, 3)
    assert [(stray.due_at, stray.models) for stray in seen.tasks] == [
        (NOW, ("strong",)),
        (NOW + 2, ("strong", "best")),
    ]
    assert (seen.tasks[0].input_tokens, seen.tasks[0].output_tokens, seen.others) == (7, 8, 1)
    assert seen.cursor is not None
    rest = await store.strays(here, seen.cursor, 3)
    assert [stray.due_at for stray in rest.tasks] == [NOW + 9]
    assert (rest.others, rest.cursor) == (0, None)


async def test_who_is_diverted_waits_for_the_other_model_with_nothing_used_up(store: Store) -> None:
    run = await run_with(store, [new("a"), new("b", "{1}"), new("c", "{2}")])
    here = await cell(store)
    ids = [stray.task_id for stray in (await store.strays(here, None, 10)).tasks]
    there, went = await store.divert(here, ids[:2], "strong", "account oa is paused", NOW + 5)
    assert went == ids[:2]
    assert there == await cell(store, "strong")
    await sound(store)
    assert {head.model: head.ready for head in await store.peek(NOW, depth=10)} == {"small": 1, "strong": 2}
    await store.join("w", LEASE, NOW)
    tasks = await claim(store)
    assert sorted((task.model, task.attempts, task.refusals) for task in tasks) == [
        ("small", 0, 0),
        ("strong", 0, 0),
        ("strong", 0, 0),
    ]
    await finish(store, tasks)
    assert await counts(store) == {State.SUCCEEDED: 3}
    assert await store.detours(run.id, ids[0]) == [Detour(NOW + 5, "small", "strong", "account oa is paused")]
    assert await store.detours(run.id, ids[2]) == []
    assert await store.diverted(run.id, NOW) == {("small", "strong"): 2}
    assert await store.diverted(run.id, NOW + 6) == {}
    await sound(store)


async def test_only_who_is_still_ready_in_the_cell_is_diverted(store: Store) -> None:
    await run_with(store, [new("a"), new("b", "{1}")])
    here = await cell(store)
    a, b = [stray.task_id for stray in (await store.strays(here, None, 10)).tasks]
    await store.cancel([a], NOW)
    there, went = await store.divert(here, [a, b], "strong", "away", NOW)
    assert went == [b]
    assert (await store.divert(here, [a, b], "strong", "away", NOW))[1] == []
    assert (await store.divert(there, [b], "best", "away", NOW))[1] == [b]
    assert (await store.divert(10_000, [b], "strong", "away", NOW))[1] == []
    await sound(store)


async def test_a_free_failure_that_is_not_even_counted_leaves_both_counters_alone(store: Store) -> None:
    await run_with(store, [new("a")])
    await store.join("w", LEASE, NOW)
    for _ in range(3):
        await finish(store, await claim(store), State.READY, burned=False, counted=False)
    (task,) = await claim(store)
    assert (task.attempts, task.refusals) == (0, 0)
