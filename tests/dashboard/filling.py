"""A store with what pages show: a run under way with failures, a flow with what it began, an audit log."""

from __future__ import annotations

from typing import NamedTuple

from laneway.store.cells import Pick
from laneway.store.flows import Child, Event, Suspension, WaitGroup
from laneway.store.interface import Store
from laneway.store.steering import PauseKind
from laneway.store.tallies import Tally, TallyKind
from laneway.store.tokens import Deed
from laneway.task import (
    NEW_FLOW,
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

WORKER = "filler"
CHAT = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Is this invoice paid?"}]}'
ROUTES = (
    Route(
        "billing",
        Urgency.URGENT,
        "small",
        category="invoice",
        complexity="low",
        reasons={
            "lane": 'rule 1 "invoices"',
            "urgency": "pinned by the command",
            "model": "[defaults]",
            "category": "learnt (category 2a)",
            "complexity": "classifier small",
        },
    ),
    Route(
        "support",
        Urgency.STANDARD,
        "strong",
        category="complaint",
        complexity="high",
        reasons={
            "lane": 'rule 2 "letters"',
            "model": "learnt (model 1f): quality",
            "category": "learnt (category 2a)",
            "complexity": "classifier small",
        },
    ),
)
LIMIT = Failure(FailureClass.TRANSIENT, "rate_limit_exceeded", "too many <b>requests</b>", 429)
BAD = Failure(FailureClass.OUTPUT, "schema", "$.category: 'refunds' is not one of the labels")
EVIL = '<img src=x onerror="document.title=1">'  # a name, as somebody might choose it


class Filled(NamedTuple):
    run: int
    flow: int
    legal: int  # a run of the team of this name


async def fill(store: Store, now: float) -> Filled:
    await store.join(WORKER, 3600, now)
    run = await store.open_run(
        f"letters/{EVIL}.jsonl", info={"kind": "batch", "input": "letters.csv"}, max_cost=5.0, now=now - 900, fresh=True
    )
    tasks = [_task(f"letter-{n}", ROUTES[n % 2], now) for n in range(40)]
    await store.submit(run, tasks, now - 900, held=True)
    await store.pause(PauseKind.RUN, str(run.id), now - 800)  # so that nobody else takes what is left
    await store.seal_run(run, now - 900)
    mine = await _claim(store, run.id, 11, now)
    await store.settle(WORKER, [_done(task, now) for task in mine[:16]], now)
    await store.settle(WORKER, [_failed(task, LIMIT, now) for task in mine[16:20]], now)
    await store.settle(WORKER, [_failed(task, BAD, now) for task in mine[20:22]], now)
    flow = await _flow(store, now)
    legal = await store.open_run("serve legal", info={"kind": "serve", "team": "legal"}, max_cost=None, now=now - 300)
    await store.record(Deed(now - 700, "ann", None, "run.resume", str(run.id)))
    await store.record(Deed(now - 60, EVIL, "legal", "tasks.retry", "12 tasks", {"filter": "class transient"}))
    for kind, name in ((TallyKind.MODEL, "small"), (TallyKind.MODEL, "strong")):
        tally = Tally(int(now) - 120, None, kind, name, 300, 20, 0, 340, 9, 2, 90_000, 30_000, 0.031)
        await store.add_tallies([tally], now)
    return Filled(run.id, flow, legal.id)


def _task(key: str, route: Route, now: float) -> NewTask:
    return NewTask(CHAT, Spec("letter", Wire.CHAT), route, now, key=key, input_tokens=100, output_tokens=50)


async def _claim(store: Store, run_id: int, n: int, now: float) -> list[Claimed]:
    """Up to ``n`` of every cell of the run."""
    heads = await store.peek(now, depth=n, run_id=run_id)
    return await store.claim(WORKER, [Pick(head.cell_id, n, "main", 1.0, 1.0) for head in heads], now)


def _done(task: Claimed, now: float) -> Settlement:
    answer = b'{"choices": [{"message": {"role": "assistant", "content": "It is paid."}}]}'
    return Settlement(
        task.id, task.fence, State.SUCCEEDED, Outcome.OK, now - 5, 0.8, Usage(90, 40), cost=0.00004, output=answer
    )


def _failed(task: Claimed, failure: Failure, now: float) -> Settlement:
    return Settlement(task.id, task.fence, State.FAILED, Outcome.REQUEST, now - 5, 0.8, cost=0.0, failure=failure)


async def _flow(store: Store, now: float) -> int:
    """One that has begun 30 letters and a summary, heard two of them, and waits for the rest."""
    run = await store.open_run("reports", info={"kind": "python"}, max_cost=None, now=now - 400)
    await store.pause(PauseKind.RUN, str(run.id), now - 400)
    spec, route = Spec("report", Wire.PYTHON), Route("general", Urgency.STANDARD, NEW_FLOW)
    await store.submit(run, [NewTask(b"{}", spec, route, now - 300, key="monday")], now - 300)
    (task,) = await _claim(store, run.id, 9, now)
    names = [f"letter(n={n})" for n in range(30)]
    begun = [_child(name, "letter", task.id, now) for name in names]
    group = WaitGroup(tuple(names), len(names))
    left = Suspension(0, now - 290, begun=begun, waits_for=[group])
    done = Settlement(task.id, task.fence, State.WAITING, Outcome.OK, now - 290, 0.01, cost=0.0, flow=left)
    done.burned = done.counted = False
    assert await store.settle(WORKER, [done], now - 290) == [True]
    children = [one for one in await _claim(store, run.id, 3, now - 280) if one.parent == task.id]
    settled = [_of(task.id, _done(one, now)) for one in children]
    await store.settle(WORKER, settled, now - 270)
    await store.send_event(task.id, Event("approved", b'{"by": "<script>document.title=2</script>"}', now - 100), now)
    return task.id


def _of(parent: int, settlement: Settlement) -> Settlement:
    settlement.parent = parent
    return settlement


def _child(name: str, type_: str, parent: int, now: float) -> Child:
    route = Route("general", Urgency.STANDARD, "small")
    return Child(name, NewTask(CHAT, Spec(type_, Wire.CHAT), route, now - 290, parent=parent))
