"""Short ways to say what the conformance suite is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from laneway.store.cells import Pick
from laneway.store.interface import Store
from laneway.store.postgres import PostgresStore
from laneway.store.postgres.connection import run
from laneway.store.runs import Run
from laneway.store.sqlite import SQLiteStore
from laneway.task import (
    Claimed,
    Failure,
    FailureClass,
    NewTask,
    Outcome,
    Route,
    Settlement,
    Spec,
    State,
    Urgency,
    Usage,
    Wire,
)

NOW = 1_700_000_000.0
SPEC = Spec("chat", Wire.CHAT)
ROUTE = Route("general", Urgency.STANDARD, "small", fallbacks=("strong",), reasons={"lane": "[defaults]"})
PYTHON = (Spec("work", Wire.PYTHON), Route("general", Urgency.STANDARD, ""))
LEASE = 10.0


def new(key: str | None = None, body: str = "{}", due: float = NOW, **more: Any) -> NewTask:
    fields: dict[str, Any] = {"spec": SPEC, "route": ROUTE, "input_tokens": 100, "output_tokens": 50}
    return NewTask(body=body.encode(), due_at=due, key=key, **{**fields, **more})


async def open_run(
    store: Store, identity: str = "out.jsonl", max_cost: float | None = None, fresh: bool = False
) -> Run:
    return await store.open_run(identity, info={}, max_cost=max_cost, now=NOW, fresh=fresh)


async def run_with(store: Store, tasks: Sequence[NewTask], **options: Any) -> Run:
    """A sealed run of these tasks."""
    run = await open_run(store, **options)
    await store.submit(run, tasks, NOW, held=True)
    await store.seal_run(run, NOW)
    return await store.get_run(run.id)


async def claim(
    store: Store, worker: str = "w", n: int = 100, now: float = NOW, price: float | None = 1.0
) -> list[Claimed]:
    """Claim up to ``n`` of every cell."""
    heads = await store.peek(now, depth=n)
    return await store.claim(worker, [Pick(head.cell_id, n, "main", price, price) for head in heads], now)


def settlement(task: Claimed, state: State = State.SUCCEEDED, **more: Any) -> Settlement:
    outcome = {State.SUCCEEDED: Outcome.OK, State.FAILED: Outcome.REQUEST}.get(state, Outcome.TRANSIENT)
    failure = None if state is State.SUCCEEDED else Failure(FailureClass.REQUEST, "bad", "no good", 400)
    fields: dict[str, Any] = {
        "outcome": outcome,
        "started_at": NOW,
        "latency": 0.5,
        "usage": Usage(90, 40, 10) if state is State.SUCCEEDED else None,
        "cost": 0.01 if state is State.SUCCEEDED else 0.0,
        "output": b'{"ok":1}' if state is State.SUCCEEDED else None,
        "failure": failure,
    }
    return Settlement(task.id, task.fence, state, **{**fields, **more})


async def finish(
    store: Store, tasks: Sequence[Claimed], state: State = State.SUCCEEDED, worker: str = "w", **more: Any
) -> list[bool]:
    return await store.settle(worker, [settlement(task, state, **more) for task in tasks], NOW)


async def counts(store: Store, run: Run | None = None) -> dict[State, int]:
    total: Counter[State] = Counter()
    for cell in await store.tally(run.id if run else None):
        total.update(cell.counts)
    return {state: n for state, n in total.items() if n}


async def tamper(store: Store, sql: str) -> None:
    """Change what is stored behind the store's back. ``{0}`` stands before the names of tables."""
    if isinstance(store, PostgresStore):
        await store._writer.write(lambda tx: run(tx.db, sql.format("laneway.")))
    elif isinstance(store, SQLiteStore):
        await store._writer.write(lambda tx: tx.db.execute(sql.format("")))


async def sound(store: Store) -> None:
    """The store finds nothing wrong with itself."""
    assert await store.check() == []
