"""Which flow or run is meant: ``3``, ``run 3``, ``flow 7``, a key, or the name of a flow function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from laneway.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from laneway.store.interface import Store
    from laneway.store.runs import Run
    from laneway.task import Task


async def meant(store: Store, words: Sequence[str]) -> Run | Task:
    """A number alone is a run where one of that number has flows, else a flow's id. Raises NotFoundError,
    UsageError."""
    match [*words]:
        case ["run", number] if number.isdecimal():
            return await _with_flows(store, int(number))
        case ["flow" | "task", ref]:
            return await _flow(store, ref)
        case [ref]:
            if ref.isdecimal() and (run := await _run(store, int(ref))) is not None:
                return run
            return await _flow(store, ref)
        case _:
            raise UsageError(f"{' '.join(words)!r} is neither a run nor a flow", hint="write run 3, or flow 7")


async def _run(store: Store, number: int) -> Run | None:
    try:
        run = await store.get_run(number)
    except NotFoundError:
        return None
    return run if await store.flows(run.id, 1) else None


async def _with_flows(store: Store, number: int) -> Run:
    run = await store.get_run(number)
    if not await store.flows(run.id, 1):
        raise NotFoundError(f"run {number} holds no flows", hint="`laneway run --flow NAME FILE` makes one of flows")
    return run


async def _flow(store: Store, ref: str) -> Task:
    from laneway.task import is_flow

    try:
        task = await store.find_task(ref)
    except NotFoundError:
        if ref.isdecimal() or (last := await store.last_flow(ref)) is None:
            raise NotFoundError(
                f"there is no run and no flow {ref!r} in this store",
                hint="give a run's number, a flow's id or key, or the name of a flow that has run here",
            ) from None
        return await store.find_task(str(last[0]))
    if not is_flow(task.model):
        raise NotFoundError(f"task {task.id} ({task.type}) is not a flow", hint=f"`laneway explain {task.id}` shows it")
    return task
