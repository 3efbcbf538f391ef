"""What the heads of the queue's cells are read from."""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.heads import CellNow, Sizes
from laneway.store.postgres.connection import Db, rows

_CELLS = """
    SELECT c.id, c.run_id, c.model, c.lane, c.urgency, n.ready, coalesce(f.due_at, 0)
    FROM laneway.cell c
    CROSS JOIN LATERAL (SELECT sum(ready)::bigint AS ready FROM laneway.cell_count WHERE cell_id = c.id) n
    LEFT JOIN LATERAL (
        SELECT due_at FROM laneway.task WHERE cell_id = c.id AND state = 'ready' ORDER BY due_at, id LIMIT 1
    ) f ON n.ready > 0
    WHERE (NOT c.shelf OR c.aside) AND (%(run)s::bigint IS NULL OR c.run_id = %(run)s)
"""
# What a transaction changes that is still open is only seen later, so the next mark is the oldest one open. Where
# nothing has changed, there is one row without a cell.
_MARKED = """
    SELECT mark, cells.* FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS mark) m
    LEFT JOIN ({cells}) AS cells ON true
"""
READY = _MARKED.format(cells=f"{_CELLS} AND n.ready > 0")
CHANGED = _MARKED.format(
    cells=f"{_CELLS} AND c.id IN (SELECT cell_id FROM laneway.cell_count WHERE changed >= %(seen)s)"
)
SIZES = """
    SELECT w.cell_id, t.due_at, t.input_tokens, t.output_tokens
    FROM unnest(%s::bigint[], %s::integer[]) AS w (cell_id, n)
    CROSS JOIN LATERAL (
        SELECT due_at, id, input_tokens, output_tokens FROM laneway.task
        WHERE cell_id = w.cell_id AND state = 'ready' ORDER BY due_at, id LIMIT w.n
    ) t ORDER BY t.due_at, t.id
"""


class HeadSource:
    """Implements ``laneway.store.heads.Source``."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def changed(self, seen: int | None, run_id: int | None) -> tuple[Sequence[CellNow], int]:
        found = rows(self._db, READY if seen is None else CHANGED, {"seen": seen, "run": run_id})
        return [CellNow(*row[1:]) for row in found if row[1] is not None], int(found[0][0])

    def sizes(self, wanted: Sequence[tuple[int, int]]) -> Sequence[Sizes]:
        cells, depths = zip(*wanted, strict=True)
        found: dict[int, list[tuple[float, int, int]]] = {cell_id: [] for cell_id in cells}
        for cell_id, *size in rows(self._db, SIZES, (list(cells), list(depths))):
            found[cell_id].append((size[0], size[1], size[2]))
        return [tuple(found[cell_id]) for cell_id in cells]
