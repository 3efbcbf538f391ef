"""Cells and documents: found, or made on first use."""

from __future__ import annotations

from typing import Any

import apsw
import orjson

from laneway.store.sqlite.connection import scalar
from laneway.task import NEW_FLOW, Route, is_flow


class Places:
    """Ids of cells and documents, made on first use. For one transaction only."""

    def __init__(self, db: apsw.Connection, run_id: int, *, aside: bool = False) -> None:
        self._db = db
        self._aside = aside
        self._run_id = run_id
        self._cells: dict[tuple[str, str, int], int] = {}
        self._flows: dict[int, str] = {}  # by cell: under which model its flows are queued
        self._documents: dict[int, tuple[object, int]] = {}

    def cell(self, route: Route, model: str | None = None) -> int:
        place = (route.model if model is None else model, route.lane, int(route.urgency))
        if place not in self._cells:
            self._cells[place] = cell_id(self._db, self._run_id, *place, shelf=int(self._aside), aside=int(self._aside))
        return self._cells[place]

    def again(self, route: Route, cell: int) -> int:
        """Of a task that is taken in again: a flow that has begun stays among those that have."""
        if route.model != NEW_FLOW:
            return self.cell(route)
        if cell not in self._flows:
            model = str(scalar(self._db, "SELECT model FROM cell WHERE id = ?", (cell,)))
            self._flows[cell] = model if is_flow(model) else NEW_FLOW
        return self.cell(route, self._flows[cell])

    def document(self, thing: Any) -> int:
        """The id of a Route's or Spec's stored form."""
        known = self._documents.get(id(thing))
        if known is None:
            content = orjson.dumps(thing.as_json(), option=orjson.OPT_SORT_KEYS)
            self._db.execute("INSERT INTO document (content) VALUES (?) ON CONFLICT DO NOTHING", (content,))
            number = int(scalar(self._db, "SELECT id FROM document WHERE content = ?", (content,)))
            known = self._documents[id(thing)] = (thing, number)
        return known[1]


def cell_id(
    db: apsw.Connection, run_id: int, model: str, lane: str, urgency: int, shelf: int = 0, aside: int = 0
) -> int:
    place = (run_id, model, lane, urgency, shelf)
    where = "run_id = ? AND model = ? AND lane = ? AND urgency = ? AND shelf = ?"
    found = scalar(db, f"SELECT id FROM cell WHERE {where}", place)
    if found is None:
        columns = "run_id, model, lane, urgency, shelf, aside"
        db.execute(f"INSERT INTO cell ({columns}) VALUES (?, ?, ?, ?, ?, ?)", (*place, aside))
        found = db.last_insert_rowid()
    return int(found)
