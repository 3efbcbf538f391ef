"""Two processes do whatever they may to one store, in random order: the books and counters add up after each step, and
what each of them has kept of the queue's heads is what is there."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from laneway.errors import LanewayError
from laneway.store.budgets import PROJECT, Budget, BudgetKind, Limits
from laneway.store.cells import Head, Pick
from laneway.store.heads import Heads
from laneway.store.sqlite import SQLiteStore
from laneway.store.steering import Change, Selector
from laneway.task import Claimed, NewTask, Route, Settlement, Spec, State, Urgency, Wire
from tests.store.helpers import NOW, settlement

STEPS = 120
X, Y = Budget(BudgetKind.TYPE, "x"), Budget(BudgetKind.TYPE, "y")
LIMITS: list[Limits] = [{}, {X: 0.3}, {Budget(BudgetKind.LANE, "a"): 0.5, Y: 0.0}, {PROJECT: 2.0}]
CHANGES = [
    Change(lane="c"),
    Change(urgency=Urgency.URGENT, target_waits={Urgency.URGENT: 60.0}),
    Change(model="strong"),
    Change(deadline=NOW + 5),
]


class Mix:
    """``now`` goes back sometimes, as clocks do."""

    def __init__(self, seed: int, stores: dict[str, SQLiteStore]) -> None:
        self.rng = random.Random(seed)
        self.stores = stores
        self.now = NOW
        self.runs: list[int] = []
        self.claimed: list[tuple[str, Claimed]] = []

    async def step(self) -> str:
        rng = self.rng
        self.now += rng.choice([0.1, 1, 60, 18_000]) if rng.random() < 0.9 else -rng.choice([1, 4000])
        worker = rng.choice(sorted(self.stores))
        verb = rng.choice([self.submit, self.claim, self.claim, self.settle, self.settle, self.steer, self.keep])
        await verb(self.stores[worker], worker)
        return verb.__name__

    async def submit(self, store: SQLiteStore, worker: str) -> None:
        rng = self.rng
        name, fresh, max_cost = f"out{rng.randrange(3)}", rng.random() < 0.3, rng.choice([None, None, 0.5])
        run = await store.open_run(name, info={}, max_cost=max_cost, now=self.now, fresh=fresh)
        tasks = [self.task(number) for number in rng.sample(range(40), rng.randrange(1, 20))]
        await store.submit(run, tasks, self.now, held=True)
        if rng.random() < 0.1:
            await store.abandon_run(run)
            return
        try:
            await store.seal_run(run, self.now)
        except LanewayError:  # its answers were pruned
            return
        self.runs.append(run.id)

    def task(self, number: int) -> NewTask:
        urgency = self.rng.choice([Urgency.STANDARD, Urgency.STANDARD, Urgency.URGENT])
        route = Route("ab"[number % 2], urgency, "small")
        return NewTask(
            b"{}",
            Spec("xyz"[number % 3], Wire.CHAT),
            route,
            self.now + self.rng.random(),
            key=f"k{number}",
            input_tokens=100,
            output_tokens=50,
            wake_at=self.now + 100 if self.rng.random() < 0.1 else None,
        )

    async def claim(self, store: SQLiteStore, worker: str) -> None:
        rng = self.rng
        heads = await store.peek(self.now, depth=rng.choice([2, 16]), run_id=rng.choice([None, None, *self.runs[-2:]]))
        picks = [Pick(head.cell_id, rng.randrange(1, 6), "main", 1000, 1000) for head in heads if rng.random() < 0.7]
        found = await store.claim(worker, picks, self.now, rng.choice(LIMITS))
        self.claimed += [(worker, task) for task in found]

    async def settle(self, store: SQLiteStore, worker: str) -> None:
        """Some of what it claimed at any time: late and double ones among them."""
        mine = [task for by, task in self.claimed if by == worker]
        chosen = self.rng.sample(mine, min(len(mine), 3))
        await store.settle(worker, [self.ending(task) for task in chosen], self.now)

    def ending(self, task: Claimed) -> Settlement:
        state = self.rng.choice([State.SUCCEEDED, State.FAILED, State.WAITING, State.READY])
        wake_at = self.now + 10 if state is State.WAITING else None
        model = self.rng.choice([None, "strong"]) if state is State.READY else None
        return settlement(task, state, cost=self.rng.choice([0.01, 0.2, None]), wake_at=wake_at, model=model)

    async def steer(self, store: SQLiteStore, worker: str) -> None:
        ids = await store.select(Selector())
        ids = self.rng.sample(ids, min(len(ids), 8))
        match self.rng.randrange(3):
            case 0:
                await store.cancel(ids, self.now)
            case 1:
                await store.retry(ids, self.now)
            case _:
                await store.adjust(ids, self.rng.choice(CHANGES), self.now)

    async def keep(self, store: SQLiteStore, worker: str) -> None:
        match self.rng.randrange(4):
            case 0:
                await store.wake(self.now)
            case 1:
                await store.prune(self.now - 100)
            case 2:
                await store.release_held(self.rng.choice([{}, {X: 0.5}]), self.now)
            case _:
                await store.leave(worker, self.now)
                await store.join(worker, 1e6, self.now)


def shown(heads: list[Head]) -> list[tuple[object, ...]]:
    return sorted((head.cell_id, head.ready, head.sizes[:4]) for head in heads)


@pytest.mark.parametrize("seed", range(4))
async def test_books_counters_and_heads_always_agree_with_the_tasks(tmp_path: Path, seed: int) -> None:
    stores = {worker: SQLiteStore(tmp_path / "s.db", inline=True) for worker in "vw"}
    mix = Mix(seed, stores)
    for worker, store in stores.items():
        await store.join(worker, 1e6, NOW)
    for number in range(STEPS):
        verb = await mix.step()
        for worker, store in stores.items():
            assert await store.check() == [], (number, verb)
            for run_id in (None, *mix.runs[-1:]):
                anew = Heads(run_id).look(store._source, 4, {})
                assert shown(await store.peek(mix.now, depth=4, run_id=run_id)) == shown(anew), (number, verb, worker)
    for store in stores.values():
        await store.close()
