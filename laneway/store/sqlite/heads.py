"""The heads of the queue's cells, kept between looks: only what has changed since the last one is read again.

A worker looks after every call that ends; with thousands of cells each look would take a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apsw

from laneway.store.interface import Head
from laneway.store.sqlite.connection import scalar
from laneway.task import Urgency

_CELL = "SELECT id, run_id, model, lane, urgency, ready, changed FROM cell WHERE shelf = 0"
_READY = f"{_CELL} AND ready > 0"
CHANGED = f"{_CELL} AND changed > ?"
_LATEST = "SELECT value FROM sequence WHERE name = 'cell'"
SIZES = """
    SELECT due_at, input_tokens, output_tokens FROM task
    WHERE cell_id = ? AND state = 'ready' ORDER BY due_at, id LIMIT ?
"""


class Heads:
    """Of one run, or of all. Tasks that changed places within a cell may be shown as they stood before."""

    def __init__(self, run_id: int | None) -> None:
        self._run_id = run_id
        self._heads: dict[int, Head] = {}
        self._depth = 0
        self._seen = 0  # changes up to here are known

    def look(self, db: apsw.Connection, depth: int, deeper: Mapping[int, int]) -> list[Head]:
        if depth > self._depth:
            self._heads.clear()
            self._depth = depth
            self._seen = int(scalar(db, _LATEST))  # before reading: what changes meanwhile is read again
            rows = self._cells(db, _READY, ())
        else:
            rows = self._cells(db, CHANGED, (self._seen,))
        for row in rows:
            self._seen = max(self._seen, row[-1])
            self._read(db, row, deeper.get(row[0], 0))
        for cell_id, wanted in deeper.items():
            head = self._heads.get(cell_id)
            if head is not None and len(head.sizes) < min(wanted, head.ready):
                row = (cell_id, head.run_id, head.model, head.lane, head.urgency, head.ready, 0)
                self._read(db, row, wanted)
        return list(self._heads.values())

    def _cells(self, db: apsw.Connection, sql: str, bindings: tuple[int, ...]) -> list[tuple[Any, ...]]:
        if self._run_id is None:
            return list(db.execute(sql, bindings))
        return list(db.execute(f"{sql} AND run_id = ?", (*bindings, self._run_id)))

    def _read(self, db: apsw.Connection, row: tuple[Any, ...], wanted: int) -> None:
        cell_id, run_id, model, lane, urgency, ready, _ = row
        sizes = tuple(db.execute(SIZES, (cell_id, min(ready, max(wanted, self._depth))))) if ready else ()
        if sizes:
            self._heads[cell_id] = Head(cell_id, run_id, model, lane, Urgency(urgency), ready, sizes)
        else:
            self._heads.pop(cell_id, None)
