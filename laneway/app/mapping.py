"""Many items through one task: submitted ahead of the reader, yielded in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

from laneway.app.jobs import Job
from laneway.errors import LanewayError, UsageError

WINDOW = 10_000  # tasks that are submitted ahead
BATCH = 500


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
        for _ in range(min(len(jobs), BATCH)):
            try:
                yield await jobs.popleft().result()
            except LanewayError as error:
                if on_error == "raise" or error.kind not in ("provider", "cancelled"):
                    raise
                yield error
