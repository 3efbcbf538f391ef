"""DBOS on SQLite: each document a workflow on a queue with a limiter and a bound on how many are under way, each call a
step with retries, the four analyses gathered, as https://docs.dbos.dev/python/tutorials/workflow-tutorial and
…/queue-tutorial have it. Workflows that were broken off are recovered at launch; the same id is the same workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from dbos import DBOS, SetWorkflowID
from openai import AsyncOpenAI

from benchmarks.documents import ANALYSES, JOIN, MAX_TOKENS, REVIEW, prompt, risky, steps
from benchmarks.peers.flows.job import Job

QUEUE = "documents"
POLL_S = 0.1  # its default, 1 s, makes it a quarter slower here


async def answer_all(job: Job, documents: Sequence[str], begin: Callable[[], None]) -> list[str]:
    """``begin`` is called when all is set up."""
    client = AsyncOpenAI(base_url=job.url, api_key="sk-peer")

    async def call(step: str, *parts: str) -> str:
        messages: Any = [{"role": "user", "content": prompt(step, *parts)}]
        answer = await client.chat.completions.create(model=step, max_tokens=MAX_TOKENS, messages=messages)
        return answer.choices[0].message.content or ""

    file = job.folder / "dbos.db"
    DBOS(config={"name": "peer", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR"})
    ask = DBOS.step(name="ask", retries_allowed=True)(call)

    async def work(document: str) -> str:
        answers = await asyncio.gather(*(ask(step, document) for step in ANALYSES))
        joined: str = await ask(JOIN, *answers)
        return await ask(REVIEW, joined) if risky(document) else joined

    report = DBOS.workflow(name="report")(work)
    DBOS.launch()
    await DBOS.register_queue_async(
        QUEUE, worker_concurrency=job.at_once, limiter=_limiter(job, documents), polling_interval_sec=POLL_S
    )
    begin()
    handles = []
    for number, document in enumerate(documents):
        with SetWorkflowID(f"document-{number}"):
            handles.append(await DBOS.enqueue_workflow_async(QUEUE, report, document))
    results = [str(await handle.get_result(polling_interval_sec=0.05)) for handle in handles]  # one polls at a time
    DBOS.destroy()
    return results


def _limiter(job: Job, documents: Sequence[str]) -> Any:
    """So many documents a second that their calls keep the account busy: it limits starts of workflows."""
    if job.requests_per_minute is None:
        return None
    calls = sum(len(steps(document)) for document in documents) / len(documents)
    return {"limit": max(1, int(job.requests_per_minute / 60 / calls)), "period": 1.0}
