"""A store as it looks after months: a million tasks of many runs, lanes, types and models, a fifth of them failed."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from laneway.app.settings import open_store
from laneway.store.cells import Pick
from laneway.store.flows import Child, Suspension, WaitGroup
from laneway.store.interface import Store
from laneway.store.runs import Run
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

TASKS, FAILED = 1_000_000, 200_000
RUNS, LANES, TYPES = 40, 12, 25
MODELS = ("small", "medium", "strong", "local", "vision", "cheap")
TEAMS = (None, None, "support", "legal")
TEXT = "Please read this ticket and say what the customer wants, how urgent it is, and who should answer. " * 4
CHUNK = 5_000
FLOW_TYPE, CHILDREN = "report", 1_000
WORKER = "benchmark-filler"
KINDS = (
    Failure(FailureClass.TRANSIENT, "overloaded", "the provider is overloaded", 529),
    Failure(FailureClass.TRANSIENT, "timeout", "no answer within 120 s"),
    Failure(FailureClass.TRANSIENT, "rate_limit_exceeded", "too many requests", 429, refused=True),
    Failure(FailureClass.REQUEST, "context_length_exceeded", "the request is longer than the model's window", 400),
    Failure(FailureClass.REQUEST, "content_filter", "the provider will not answer this", 400),
    Failure(FailureClass.OUTPUT, "schema", "$.category: 'refunds' is not one of the labels"),
    Failure(FailureClass.OUTPUT, "truncated", "the answer ended at its length limit"),
    Failure(FailureClass.CODE, "KeyError", "KeyError: 'customer'"),
)


class Filled(NamedTuple):
    tasks: int
    failed: int
    seconds: float


def fill(url: str, tasks: int = TASKS, failed: int = FAILED, seed: int = 0) -> Filled:
    """Through the store's own verbs, so that every counter is what work would have left behind. Of what has not failed,
    four fifths succeeded, the rest is ready or cancelled."""
    return asyncio.run(_fill(url, tasks, failed, random.Random(seed)))


async def _fill(url: str, tasks: int, failed: int, rng: random.Random) -> Filled:
    store, began, now = open_store(url), time.perf_counter(), time.time()
    ended = failed + round((tasks - failed) * 0.8)
    fails = ((i + 1) * failed // ended > i * failed // ended for i in itertools.count())
    try:
        await store.join(WORKER, 86_400, now)
        for number, run_tasks in enumerate(_parts(tasks, RUNS)):
            run = await _submit(store, number, run_tasks, now, rng)
            await _end(store, run, ended * (number + 1) // RUNS - ended * number // RUNS, fails, now, rng)
            await _cancel(store, run, now)
        await add_flow(store, now)
        await store.leave(WORKER, now)
        counted = [cell.counts for cell in await store.tally()]
        return Filled(
            sum(sum(counts.values()) for counts in counted),
            sum(counts.get(State.FAILED, 0) for counts in counted),
            time.perf_counter() - began,
        )
    finally:
        await store.close()


def _parts(total: int, n: int) -> list[int]:
    return [total * (i + 1) // n - total * i // n for i in range(n)]


async def _submit(store: Store, number: int, tasks: int, now: float, rng: random.Random) -> Run:
    team = TEAMS[number % len(TEAMS)]
    info = {"kind": "batch", "out": f"tickets-{number}.results.jsonl", "team": team}
    run = await store.open_run(f"benchmark {number}", info=info, max_cost=100.0 if number % 3 else None, now=now)
    for chunk in _chunks(_tasks(number, tasks, team, now, rng)):
        await store.submit(run, chunk, now, held=True)
    await store.seal_run(run, now)
    return await store.get_run(run.id)


def _chunks(tasks: Iterator[NewTask]) -> Iterator[list[NewTask]]:
    while chunk := list(itertools.islice(tasks, CHUNK)):
        yield chunk


def _tasks(number: int, tasks: int, team: str | None, now: float, rng: random.Random) -> Iterator[NewTask]:
    """Each run has a few of the lanes, types and models."""
    lanes = [f"lane-{(number + i) % LANES}" for i in range(3)]
    specs = [Spec(f"type_{(number + i) % TYPES}", Wire.CHAT) for i in range(3)]
    models = [MODELS[(number + i) % len(MODELS)] for i in range(2)]
    routes = [
        Route(lane, urgency, model, reasons={"lane": "rule 2", "urgency": "default", "model": "rule 1"})
        for lane in lanes
        for urgency in Urgency
        for model in models
    ]
    for i in range(tasks):
        body = json.dumps({"model": "x", "messages": [{"role": "user", "content": f"{TEXT} {number}-{i}"}]})
        yield NewTask(
            body.encode(),
            rng.choice(specs),
            rng.choice(routes),
            now + i / 1000,
            key=f"ticket-{number}-{i}",
            input_tokens=120,
            output_tokens=60,
            tags=("spring",) if i % 10 == 0 else (),
            team=team,
        )


async def _end(store: Store, run: Run, n: int, fails: Iterator[bool], now: float, rng: random.Random) -> None:
    left = n
    while left > 0:
        heads = await store.peek(now, depth=1, run_id=run.id)
        share = max(1, min(CHUNK, left) // max(1, len(heads)))
        picks = [Pick(head.cell_id, min(share, head.ready), "main", 0.15, 0.6) for head in heads]
        picks = picks[: max(1, left // share)]
        claimed = await store.claim(WORKER, picks, now)
        if not claimed:
            return
        await store.settle(WORKER, [_settled(task, next(fails), now, rng) for task in claimed], now)
        left -= len(claimed)


def _settled(task: Claimed, fails: bool, now: float, rng: random.Random) -> Settlement:
    latency = rng.lognormvariate(0.3, 0.5)
    if fails:
        failure = rng.choice(KINDS)
        outcome = Outcome.RATE_LIMITED if failure.refused else Outcome(failure.cls.value)
        return Settlement(task.id, task.fence, State.FAILED, outcome, now, latency, failure=failure, cost=0.0)
    answer = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}}]}).encode()
    usage = Usage(rng.randint(80, 400), rng.randint(20, 200))
    cost = (usage.input_tokens * 0.15 + usage.output_tokens * 0.6) / 1e6
    return Settlement(
        task.id, task.fence, State.SUCCEEDED, Outcome.OK, now, latency, usage, 0.15, 0.6, cost, output=answer
    )


async def add_flow(store: Store, now: float) -> int:
    """The newest task: a flow that waits for many children. Its id."""
    run = await store.open_run("benchmark flow", info={"kind": "batch"}, max_cost=None, now=now)
    route = Route("lane-0", Urgency.STANDARD, NEW_FLOW)
    await store.submit(run, [NewTask(b"{}", Spec(FLOW_TYPE, Wire.PYTHON), route, now, key="flow")], now)
    (head,) = await store.peek(now, depth=1, run_id=run.id)
    (flow,) = await store.claim(WORKER, [Pick(head.cell_id, 1, "")], now)
    names = tuple(f"part-{i}" for i in range(CHILDREN))
    spec, route = Spec("part", Wire.CHAT), Route("lane-0", Urgency.STANDARD, MODELS[0])
    begun = [Child(name, NewTask(TEXT.encode(), spec, route, now, parent=flow.id)) for name in names]
    done = Settlement(flow.id, flow.fence, State.WAITING, Outcome.OK, now, 0.01, cost=0.0, burned=False, counted=False)
    done.flow = Suspension(0, now, begun=begun, waits_for=[WaitGroup(names, len(names), False)])
    await store.settle(WORKER, [done], now)
    return flow.id


async def _cancel(store: Store, run: Run, now: float) -> None:
    """Every second run was called off in the end."""
    if run.id % 2:
        from laneway.store.steering import Selector

        ids = await store.select(Selector(run_id=run.id, states=(State.READY,)))
        for at in range(0, len(ids), CHUNK):
            await store.cancel(ids[at : at + CHUNK], now)


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """``python -m benchmarks.million URL [TASKS]``: fill a store and keep it, for a look at its pages by hand."""
    tasks = int(arguments[1]) if len(arguments) > 1 else TASKS
    return fill(arguments[0], tasks, tasks // 5)._asdict()


if __name__ == "__main__":
    import sys

    sys.stdout.write(json.dumps(main(sys.argv[1:])) + "\n")
