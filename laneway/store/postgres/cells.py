"""Queue cells by id, read once."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from laneway.store.postgres.connection import Db, rows
from laneway.task import Urgency

CELLS = """
    SELECT c.id, c.run_id, c.model, c.lane, c.urgency, r.max_cost IS NOT NULL
    FROM laneway.cell c JOIN laneway.run r ON r.id = c.run_id WHERE c.id = ANY(%s)
"""


class Cell(NamedTuple):
    id: int
    run_id: int
    model: str
    lane: str
    urgency: Urgency
    limited: bool  # its run has a budget


class Cells:
    """Cells never change, but their run may get a budget: those that have one are read each time."""

    def __init__(self) -> None:
        self._free: dict[int, Cell] = {}

    def read(self, db: Db, ids: Collection[int]) -> dict[int, Cell]:
        """Those of these that exist."""
        missing = [id_ for id_ in ids if id_ not in self._free]
        found = self.again(db, missing) if missing else {}
        return found | {id_: self._free[id_] for id_ in ids if id_ in self._free}

    def again(self, db: Db, ids: Collection[int]) -> dict[int, Cell]:
        """As they are now."""
        found = {row[0]: Cell(*row) for row in rows(db, CELLS, (list(ids),))}
        for id_ in ids:
            self._free.pop(id_, None)
        self._free.update({cell.id: cell for cell in found.values() if not cell.limited})
        return found

    def forget(self) -> None:
        """As in ``Documents``: what was read may never have been there."""
        self._free = {}
