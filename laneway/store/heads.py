"""The heads of the queue's cells, kept between looks: only what has changed since the last one is read again.

A worker looks after every call that ends; with thousands of cells each look at all of them would take a tenth of a
second.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from laneway.store.cells import Head
from laneway.task import Urgency

Place = tuple[str, str, int]  # model, lane, urgency
Sizes = tuple[tuple[float, int, int], ...]  # (due_at, input tokens, output tokens), earliest due first


class CellNow(NamedTuple):
    """A cell as it is in the store."""

    id: int
    run_id: int
    model: str
    lane: str
    urgency: int
    ready: int
    due_at: float  # of its first ready task


class Source(Protocol):
    """Where heads are read from."""

    def changed(self, seen: int | None, run_id: int | None) -> tuple[Sequence[CellNow], int]:
        """Cells whose ready tasks changed since the mark ``seen`` (None: all that have some), and the next mark."""
        ...

    def sizes(self, wanted: Sequence[tuple[int, int]]) -> Sequence[Sizes]:
        """Of the first n ready tasks of each (cell, n)."""
        ...


@dataclass(slots=True)
class _Cell:
    id: int
    run_id: int
    place: Place
    ready: int
    due_at: float
    head: Head | None = None  # read when it is shown


class Heads:
    """Of one run, or of all."""

    def __init__(self, run_id: int | None) -> None:
        self._run_id = run_id
        self._cells: dict[int, _Cell] = {}
        self._order: dict[Place, list[tuple[float, int]]] = {}  # (due_at, cell), the earliest first
        self._seen: int | None = None  # changes up to here are known

    def look(self, source: Source, depth: int, deeper: Mapping[int, int], most: int | None = None) -> list[Head]:
        """``most``: cells of one model, lane and urgency, those whose first task is due earliest."""
        changed, self._seen = source.changed(self._seen, self._run_id)
        for id_, run_id, model, lane, urgency, ready, due_at in changed:
            self._forget(id_)
            if ready > 0:
                cell = self._cells[id_] = _Cell(id_, run_id, (model, lane, urgency), ready, due_at)
                insort(self._order.setdefault(cell.place, []), (due_at, id_))
        shown = [self._cells[id_] for cells in self._order.values() for _, id_ in cells[:most]]
        self._read(source, [(cell, min(max(depth, deeper.get(cell.id, 0)), cell.ready)) for cell in shown])
        return [cell.head for cell in shown if cell.head is not None and cell.head.sizes]

    def _forget(self, id_: int) -> None:
        if cell := self._cells.pop(id_, None):
            cells = self._order[cell.place]
            del cells[bisect_left(cells, (cell.due_at, id_))]
            if not cells:
                del self._order[cell.place]

    @staticmethod
    def _read(source: Source, shown: Sequence[tuple[_Cell, int]]) -> None:
        """Of those cells of which less is known than is wanted."""
        wanting = [(cell, n) for cell, n in shown if cell.head is None or len(cell.head.sizes) < n]
        if not wanting:
            return
        for (cell, _), sizes in zip(wanting, source.sizes([(cell.id, n) for cell, n in wanting]), strict=True):
            model, lane, urgency = cell.place
            cell.head = Head(cell.id, cell.run_id, model, lane, Urgency(urgency), cell.ready, sizes)
