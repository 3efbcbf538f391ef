"""What the heads of the queue's cells are read from."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from laneway.store.heads import CellNow, Sizes
from laneway.store.sqlite.connection import scalar

_CELL = """
    SELECT id, run_id, model, lane, urgency, ready, coalesce((
        SELECT due_at FROM task WHERE cell_id = cell.id AND state = 'ready' ORDER BY due_at, id LIMIT 1
    ), 0), changed FROM cell WHERE (shelf = 0 OR aside = 1)
"""
_READY = f"{_CELL} AND ready > 0"
CHANGED = f"{_CELL} AND changed > ?"
_LATEST = "SELECT value FROM sequence WHERE name = 'cell'"
SIZES = """
    SELECT due_at, input_tokens, output_tokens FROM task
    WHERE cell_id = ? AND state = 'ready' ORDER BY due_at, id LIMIT ?
"""


class HeadSource:
    """Implements ``laneway.store.heads.Source``."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def changed(self, seen: int | None, run_id: int | None) -> tuple[Sequence[CellNow], int]:
        sql, bindings = CHANGED, [seen]
        mark = seen
        if mark is None:
            sql, bindings = _READY, []
            mark = int(scalar(self._db, _LATEST))  # before reading: what changes meanwhile is read again
        if run_id is not None:
            sql, bindings = f"{sql} AND run_id = ?", [*bindings, run_id]
        rows = list(self._db.execute(sql, bindings))
        return [CellNow(*row[:7]) for row in rows], max((row[7] for row in rows), default=mark)

    def sizes(self, wanted: Sequence[tuple[int, int]]) -> Sequence[Sizes]:
        return [tuple(self._db.execute(SIZES, one)) for one in wanted]
