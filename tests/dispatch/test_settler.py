"""Paid answers on their way to the store: one write a round, and a store that refuses to write for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from laneway.dispatch.settler import PATIENCE_S, Settler
from laneway.errors import StoreError
from laneway.store.cells import Pick
from laneway.store.sqlite import SQLiteStore
from laneway.task import Claimed, Settlement, State
from tests.dispatch.world import World, in_world, task
from tests.store.helpers import NOW, claim, new, run_with, settlement
from tests.virtual import VirtualClock, run_virtual


class Unwilling:
    """A store that refuses to write until a time (seconds from the start)."""

    def __init__(self, clock: VirtualClock, until: float) -> None:
        self._clock, self._until = clock, clock.now() + until
        self.written: list[list[int]] = []

    async def settle(self, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
        if self._clock.now() < self._until:
            raise StoreError("the disk is full")
        self.written.append([one.task_id for one in settlements])
        return [True] * len(settlements)


def settled(tmp_path: Path, until: float, live: Callable[[Settler, list[Claimed]], Awaitable[None]]) -> list[list[int]]:
    """What was written, in which batches. Three tasks that were claimed."""

    async def claimed() -> list[Claimed]:
        store = SQLiteStore(tmp_path / "s.db")
        await run_with(store, [new(str(i), due=NOW + i) for i in range(3)])
        tasks = await claim(store)
        await store.close()
        return tasks

    tasks = asyncio.run(claimed())
    told: list[int] = []

    async def main(clock: VirtualClock) -> list[list[int]]:
        unwilling = Unwilling(clock, until)
        store: Any = unwilling
        settler = Settler(store, "w", clock, lambda batch, accepted: told.extend(task.id for task, _ in batch))
        await live(settler, tasks)
        await settler.drained()
        assert told == [id_ for batch in unwilling.written for id_ in batch]
        assert (settler.failed is not None) == (until > PATIENCE_S)
        assert not settler.pending or settler.failed
        return unwilling.written

    return run_virtual(main)  # type: ignore[no-any-return]


def test_what_has_gathered_goes_together_and_only_when_told(tmp_path: Path) -> None:
    async def live(settler: Settler, tasks: list[Claimed]) -> None:
        for one in tasks[:2]:
            settler.add(one, settlement(one))
            await asyncio.sleep(1)
        settler.begin()
        settler.add(tasks[2], settlement(tasks[2]))
        await asyncio.sleep(1)
        assert settler.pending

    assert settled(tmp_path, 0, live) == [[1, 2], [3]]


def test_a_store_that_refuses_is_asked_again_and_what_comes_meanwhile_follows(tmp_path: Path) -> None:
    async def live(settler: Settler, tasks: list[Claimed]) -> None:
        for one in tasks:
            settler.add(one, settlement(one))
            settler.begin()
            await asyncio.sleep(1)

    assert settled(tmp_path, 10, live) == [[1], [2, 3]]


def test_a_store_that_never_writes_again_is_given_up(tmp_path: Path) -> None:
    async def live(settler: Settler, tasks: list[Claimed]) -> None:
        settler.add(tasks[0], settlement(tasks[0]))
        settler.begin()

    assert settled(tmp_path, 10 * PATIENCE_S, live) == []


def test_a_round_settles_just_before_it_claims() -> None:
    verbs: list[str] = []

    async def watch(world: World) -> None:
        store: Any = world.store
        settle, claim = store.settle, store.claim

        def settling(worker: str, settlements: Sequence[Settlement], now: float) -> Awaitable[list[bool]]:
            verbs.append("settle")
            return settle(worker, settlements, now)  # type: ignore[no-any-return]

        def claiming(worker: str, picks: Sequence[Pick], *more: Any) -> Awaitable[list[Claimed]]:
            verbs.append("claim")
            return claim(worker, picks, *more)  # type: ignore[no-any-return]

        store.settle, store.claim = settling, claiming

    async def then(world: World, stop: object) -> None:
        (cell,) = await world.store.tally(world.run.id)
        assert cell.counts[State.SUCCEEDED] == 60

    in_world([task(f"t{i}") for i in range(60)], then, before=watch, max_in_flight=10)
    rounds = "".join(verb[0] for verb in verbs)
    assert rounds == "c" + "sc" * rounds.count("sc") + "s"
