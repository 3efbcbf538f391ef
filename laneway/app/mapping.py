"""Many items through one task: submitted ahead of the reader, yielded in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from laneway.app.jobs import Job
from laneway.errors import LanewayError, UsageError
from laneway.task import Task

WINDOW = 10_000  # tasks that are submitted ahead
BATCH = 500
MOST_LOOKED_AT = 128  # tasks at once: the loop stands still for so long


async def in_order(
    submit: Callable[[Sequence[Any]], Awaitable[list[Job[Any]]]], items: Iterable[Any], on_error: str
) -> AsyncIterator[Any]:
    """Results in the items' order. ``on_error``: "raise" or "keep" (the error is yielded in the result's place)."""
    if on_error not in ("raise", "keep"):
        raise UsageError(f"on_error={on_error!r}", hint='write on_error="raise" or on_error="keep"')
    source = iter(items)
    jobs: deque[Job[Any]] = deque()
    more = True
    while more or jobs:
        while more and len(jobs) < WINDOW:
            batch = [item for _, item in zip(range(BATCH), source, strict=False)]
            more = len(batch) == BATCH
            if batch:
                jobs.extend(await submit(batch))
        async for job, task in _one_by_one(jobs, min(len(jobs), BATCH)):
            try:
                yield await job.result() if task is None else job.unwrap(task)
            except LanewayError as error:
                if on_error == "raise" or error.kind not in ("provider", "cancelled"):
                    raise
                yield error


async def _one_by_one(jobs: deque[Job[Any]], n: int) -> AsyncIterator[tuple[Job[Any], Task | None]]:
    """Take the next ``n``, with their tasks where these have ended. Where many have, many are looked at at once."""
    many = 1
    while n:
        ended = await jobs[0].ended_beside(islice(jobs, 1, min(many, n)))
        found = 0
        while found < min(many, n) and (task := ended.get(jobs[0].id)):
            found += 1
            yield jobs.popleft(), task
        many = min(2 * many, MOST_LOOKED_AT) if found == many else max(1, found)
        n -= found
        if not found:
            n -= 1
            yield jobs.popleft(), None
