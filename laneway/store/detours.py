"""What is said when tasks go to another model of their route because theirs is away or slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Stray(NamedTuple):
    """A ready task that could be done elsewhere."""

    task_id: int
    due_at: float
    input_tokens: int  # estimates
    output_tokens: int
    models: tuple[str, ...]  # the further ones of its route, in order


class Strays(NamedTuple):
    """Those of a cell's next tasks that can be done elsewhere. ``others``: how many cannot. ``cursor``: where to go on
    looking; None: that were all."""

    tasks: tuple[Stray, ...]
    others: int
    cursor: tuple[float, int] | None


class Detour(NamedTuple):
    """That a task went to another model, and why: ``reason`` goes on after "the model was"."""

    at: float
    origin: str
    model: str
    reason: str


class Diverting(Protocol):
    """This part of the store."""

    async def strays(self, cell_id: int, after: tuple[float, int] | None, limit: int) -> Strays:
        """Those of a cell's next ``limit`` ready tasks (behind the cursor ``after``) whose route names further
        models."""
        ...

    async def divert(
        self, cell_id: int, task_ids: Sequence[int], model: str, reason: str, now: float
    ) -> tuple[int, list[int]]:
        """Let tasks of the cell that are still ready go to another model, in the same lane and urgency. Returns the
        cell they are in now, and who went. They have used up nothing."""
        ...

    async def detours(self, run_id: int, task_id: int) -> list[Detour]:
        """When and why the task went to another model, in order."""
        ...

    async def diverted(self, run_id: int, since: float) -> dict[tuple[str, str], int]:
        """How many of the run's tasks went from one model to another because theirs was away or slow."""
        ...
