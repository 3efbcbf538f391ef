"""Queue cells: what stands first in each, what is claimed from it, and its counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from laneway.task import State, Urgency


class Head(NamedTuple):
    """The next tasks of a queue cell that has some ready."""

    cell_id: int
    run_id: int
    model: str
    lane: str
    urgency: Urgency
    ready: int
    sizes: tuple[tuple[float, int, int], ...]  # (due_at, input tokens, output tokens), earliest due first


class Pick(NamedTuple):
    """Claim ``n`` tasks of a cell for one account. Prices (USD per million tokens) make the reserved cost."""

    cell_id: int
    n: int
    account: str = ""
    input_price: float | None = None
    output_price: float | None = None


class CellTally(NamedTuple):
    """Maintained counters of one queue cell."""

    cell_id: int
    run_id: int
    model: str
    lane: str
    urgency: Urgency
    counts: Mapping[State, int]


class Backlog(NamedTuple):
    """All tasks of the store, by maintained counters."""

    open: int  # that have not ended
    ended: int
