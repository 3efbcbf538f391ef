"""The app of ``flows`` and its programs, each run in a process of its own, in a folder with a ``laneway.toml``:

``python -m benchmarks.flows_app PROGRAM STORE N [elsewhere]`` prints one object. ``elsewhere``: others work (``laneway
worker --app benchmarks.flows_app:lw``). A program that was killed goes on when it is started again.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from benchmarks.documents import ANALYSES, JOIN, MAX_TOKENS, REVIEW, digest, documents, prompt, risky
from laneway import Laneway, flow
from laneway.task import Outcome, State, is_flow

PATIENCE_S = 900.0
CHILDREN = 4  # of a flow that does nothing
CHUNK = 1000
LOOK_S = 0.1
IDLE_S = 0.5  # before one that is timed alone
TOPICS, PARTS = 4, 3

lw = Laneway()


def ask(step: str, *parts: str) -> Awaitable[str]:
    return lw.call(step, prompt(step, *parts), max_tokens=MAX_TOKENS)


@lw.flow
async def report(document: str) -> str:
    """Four analyses at once, joined, and reviewed where the document is risky."""
    answers = await flow.gather(*(ask(step, document) for step in ANALYSES))
    joined = await ask(JOIN, *answers)
    return await ask(REVIEW, joined) if risky(document) else joined


# A researcher, an analyst, a writer and an editor ---------------------------------------------------------------------
@lw.flow
async def crew(question: str) -> str:
    """What does not need each other goes on at once."""
    facts = await flow.gather(*(ask("entities", question, f"topic {i}") for i in range(TOPICS)))
    findings = await flow.gather(*(ask("compliance", f"part {i}", *facts) for i in range(PARTS)))
    sections = await flow.gather(*(ask("summary", f"section {i}", found) for i, found in enumerate(findings)))
    return await ask(JOIN, *sections)


@lw.flow
async def single_agent(question: str) -> str:
    """The same calls, one after another."""
    facts = [await ask("entities", question, f"topic {i}") for i in range(TOPICS)]
    findings = [await ask("compliance", f"part {i}", *facts) for i in range(PARTS)]
    sections = [await ask("summary", f"section {i}", found) for i, found in enumerate(findings)]
    return await ask(JOIN, *sections)


# Flows that do nothing ------------------------------------------------------------------------------------------------
@lw.task
async def nothing(n: int) -> int:
    return n


@lw.flow
async def four(n: int) -> int:
    return sum(await flow.gather(*(nothing(n + i) for i in range(CHILDREN))))


@lw.flow
async def chain(depth: int) -> int:
    """Nested flows: each makes a call and waits for the next one."""
    await ask("sentiment", f"level {depth}")
    return 1 if depth == 1 else 1 + await chain(depth - 1)


# Programs -------------------------------------------------------------------------------------------------------------
Working = Callable[[], AbstractAsyncContextManager[object]]


async def through(n: int, working: Working) -> dict[str, Any]:
    """All documents, from the first submit to the last result."""
    async with working():
        began = time.perf_counter()
        submits = (lw.submit(report, text, key=f"document-{i}") for i, text in enumerate(documents(n)))
        jobs = await asyncio.gather(*submits)
        results = [await job.result(timeout=PATIENCE_S) for job in jobs]
        seconds = time.perf_counter() - began
    return {"seconds": round(seconds, 3), "ended": len(results), "digest": digest(results)}


async def alone(n: int, working: Working) -> dict[str, Any]:
    """One document after another, each on a worker that idles; the crew and the single agent likewise."""
    texts = [text for text in documents(10 * n) if not risky(text)][:n]
    async with working():
        await _timed(report, "warm up. Exposure: 0.0")
        return {
            "seconds": [await _timed(report, text) for text in texts],
            "crew": await _timed(crew, "What should we know?"),
            "single_agent": await _timed(single_agent, "What should we know?"),
        }


async def _timed(what: Any, text: str) -> float:
    await asyncio.sleep(IDLE_S)
    began = time.perf_counter()
    await (await lw.submit(what, text)).result(timeout=PATIENCE_S)
    return round(time.perf_counter() - began, 3)


async def many(n: int, working: Working) -> dict[str, Any]:
    """All are queued before the first is worked on."""
    began = time.perf_counter()
    for first in range(0, n, CHUNK):
        await lw.submit_many(four, range(first, min(n, first + CHUNK)))
    queued = time.perf_counter()
    async with working():
        while sum((await _flows()).values()) < n or set(await _flows()) != {State.SUCCEEDED}:
            await asyncio.sleep(LOOK_S)
            if time.perf_counter() - queued > PATIENCE_S:
                raise TimeoutError(f"after {PATIENCE_S:g} s: {await _flows()}")
        drained = time.perf_counter()
    return {
        "submit_s": round(queued - began, 3),
        "drain_s": round(drained - queued, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "faults": await lw.store.check(),
    }


async def _flows() -> dict[State, int]:
    """The store's flows by state, where there are any."""
    counts: dict[State, int] = {}
    for cell in await lw.store.tally():
        if is_flow(cell.model):
            for state, count in cell.counts.items():
                counts[state] = counts.get(state, 0) + count
    return {state: count for state, count in counts.items() if count}


async def nested(n: int, working: Working) -> dict[str, Any]:
    began = time.perf_counter()
    async with working():
        depth = await (await lw.submit(chain, n)).result(timeout=PATIENCE_S)
    return {"seconds": round(time.perf_counter() - began, 3), "depth": depth}


async def ledger(n: int, working: Working) -> dict[str, Any]:
    """What became of ``n`` documents' calls."""
    lost = twice = flows = 0
    for i in range(n):
        for node in await lw.store.tree((await lw.store.find_task(f"document-{i}")).id):
            if node.is_flow:
                flows += node.state is State.SUCCEEDED
                continue
            outcomes = [attempt.outcome for attempt in await lw.store.attempts(node.task_id)]
            lost += outcomes.count(Outcome.LOST)
            twice += outcomes.count(Outcome.OK) > 1
    return {
        "flows_ended": flows,
        "claimed_and_unsettled": lost,
        "recorded_twice": twice,
        "faults": await lw.store.check(),
    }


PROGRAMS: dict[str, Callable[[int, Working], Awaitable[dict[str, Any]]]] = {
    one.__name__: one for one in (through, alone, many, nested, ledger)
}


async def _main(program: str, store: str, n: int, *, elsewhere: bool) -> None:
    lw.use_store(store)
    said = await PROGRAMS[program](n, nullcontext if elsewhere else lw.worker)
    await lw.close()
    print(json.dumps({**said, "cpu_s": round(time.process_time(), 2)}))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), elsewhere=sys.argv[4:] == ["elsewhere"]))
