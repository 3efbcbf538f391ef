"""Further processes of a run: they work on what is in the store, beside the one that takes in and writes results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from laneway.app.engine import Engine, engine
from laneway.dispatch.ending import Scope

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


class Helping(Protocol):
    """Further processes of a run."""

    def beside(self) -> AbstractAsyncContextManager[None]:
        """They work while the block does; at its end they are drained."""
        ...

    def drain(self) -> None:
        """They finish what they have in flight, and end."""
        ...

    def abort(self) -> None:
        """They break that off."""
        ...


# The run, how many calls each may have in flight, and what to do at once when one has died.
Helpers = Callable[[int, Sequence[int], Callable[[], Awaitable[None]]], Helping]


@asynccontextmanager
async def part(lw: Laneway, run_id: int, *, in_flight: int, concurrency: int | None) -> AsyncIterator[Engine]:
    """``in_flight``: calls at once, at most, of this process. ``concurrency``: of the whole run, where it was asked
    for."""
    run = await lw.store.get_run(run_id)
    scope = Scope(run.id, budget=run.max_cost is not None, shared=True)
    catalog = lw.new_catalog(concurrency)
    async with engine(lw, catalog=catalog, scope=scope, max_in_flight=in_flight) as running:
        yield running


def shares(processes: int, concurrency: int | None, most: int) -> list[int]:
    """How many calls each process may have in flight; of a ``concurrency`` all together. The first one has what does
    not come out even. Fewer processes where there are fewer calls."""
    if concurrency is None:
        return [most] * processes
    processes = min(processes, concurrency)
    each = concurrency // processes
    return [concurrency - each * (processes - 1)] + [each] * (processes - 1)
