"""The heads of the queue's cells, kept between looks: only what has changed since the last one is read again.

A worker looks after every call that ends; with thousands of cells each look at all of them would take a tenth of a
second.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import apsw

from laneway.store.interface import Head
from laneway.store.sqlite.connection import scalar
from laneway.task import Urgency

_CELL = """
    SELECT id, run_id, model, lane, urgency, ready, changed, coalesce((
        SELECT due_at FROM task WHERE cell_id = cell.id AND state = 'ready' ORDER BY due_at, id LIMIT 1
    ), 0) FROM cell WHERE shelf = 0
"""
_READY = f"{_CELL} AND ready > 0"
CHANGED = f"{_CELL} AND changed > ?"
_LATEST = "SELECT value FROM sequence WHERE name = 'cell'"
SIZES = """
    SELECT due_at, input_tokens, output_tokens FROM task
    WHERE cell_id = ? AND state = 'ready' ORDER BY due_at, id LIMIT ?
"""
Place = tuple[str, str, int]  # model, lane, urgency


@dataclass(slots=True)
class _Cell:
    id: int
    run_id: int
    place: Place
    ready: int
    due_at: float  # of its first
    head: Head | None = None  # read when it is shown


class Heads:
    """Of one run, or of all."""

    def __init__(self, run_id: int | None) -> None:
        self._run_id = run_id
        self._cells: dict[int, _Cell] = {}
        self._order: dict[Place, list[tuple[float, int]]] = {}  # (due_at, cell), the earliest first
        self._seen: int | None = None  # changes up to here are known

    def look(self, db: apsw.Connection, depth: int, deeper: Mapping[int, int], most: int | None = None) -> list[Head]:
        """``most``: cells of one model, lane and urgency, those whose first task is due earliest."""
        for id_, run_id, model, lane, urgency, ready, due_at in self._changes(db):
            self._forget(id_)
            if ready:
                cell = self._cells[id_] = _Cell(id_, run_id, (model, lane, urgency), ready, due_at)
                insort(self._order.setdefault(cell.place, []), (due_at, id_))
        shown = [self._cells[id_] for cells in self._order.values() for _, id_ in cells[:most]]
        return [head for cell in shown if (head := self._head(db, cell, max(depth, deeper.get(cell.id, 0)))).sizes]

    def _changes(self, db: apsw.Connection) -> Iterator[tuple[int, int, str, str, int, int, float]]:
        sql, bindings = CHANGED, [self._seen]
        if self._seen is None:
            sql, bindings = _READY, []
            self._seen = int(scalar(db, _LATEST))  # before reading: what changes meanwhile is read again
        if self._run_id is not None:
            sql, bindings = f"{sql} AND run_id = ?", [*bindings, self._run_id]
        for *cell, changed, due_at in list(db.execute(sql, bindings)):
            self._seen = max(self._seen, changed)
            yield (*cell, due_at)

    def _forget(self, id_: int) -> None:
        if cell := self._cells.pop(id_, None):
            cells = self._order[cell.place]
            del cells[bisect_left(cells, (cell.due_at, id_))]
            if not cells:
                del self._order[cell.place]

    @staticmethod
    def _head(db: apsw.Connection, cell: _Cell, depth: int) -> Head:
        if cell.head is None or len(cell.head.sizes) < min(depth, cell.ready):
            model, lane, urgency = cell.place
            sizes = tuple(db.execute(SIZES, (cell.id, min(depth, cell.ready))))
            cell.head = Head(cell.id, cell.run_id, model, lane, Urgency(urgency), cell.ready, sizes)
        return cell.head
