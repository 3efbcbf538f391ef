"""Cells and documents: found, or made on first use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import orjson

from laneway.store.postgres.connection import Db, rows, run, scalar
from laneway.task import NEW_FLOW, Route, Spec, is_flow

DOCUMENTS = "SELECT digest, id FROM laneway.document WHERE digest = ANY(%s)"
WRITE_DOCUMENTS = """
    INSERT INTO laneway.document (digest, content, type, wire)
    SELECT * FROM unnest(%s::bytea[], %s::bytea[], %s::text[], %s::text[]) AS d (digest, content, type, wire)
    ORDER BY digest ON CONFLICT (digest) DO NOTHING
"""
CELL = """
    SELECT id FROM laneway.cell WHERE run_id = %s AND model = %s AND lane = %s AND urgency = %s AND shelf = %s
"""
MAKE_CELL = """
    INSERT INTO laneway.cell (run_id, model, lane, urgency, shelf, aside) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (run_id, model, lane, urgency, shelf) DO NOTHING
"""
Storable = Route | Spec


class Places:
    """Ids of a run's cells, and of documents. For one transaction only."""

    def __init__(self, db: Db, run_id: int, *, aside: bool = False) -> None:
        self._db = db
        self._aside = aside
        self._run_id = run_id
        self._cells: dict[tuple[str, str, int], int] = {}
        self._flows: dict[int, str] = {}  # by cell: under which model its flows are queued
        self._documents: dict[int, tuple[Storable, int]] = {}  # by the thing's identity; it is kept alive with it

    def cell(self, route: Route, model: str | None = None) -> int:
        place = (route.model if model is None else model, route.lane, int(route.urgency))
        if place not in self._cells:
            self._cells[place] = cell_id(self._db, self._run_id, *place, shelf=self._aside, aside=self._aside)
        return self._cells[place]

    def again(self, route: Route, cell: int) -> int:
        """Of a task that is taken in again: a flow that has begun stays among those that have."""
        if route.model != NEW_FLOW:
            return self.cell(route)
        if cell not in self._flows:
            model = str(scalar(self._db, "SELECT model FROM laneway.cell WHERE id = %s", (cell,)))
            self._flows[cell] = model if is_flow(model) else NEW_FLOW
        return self.cell(route, self._flows[cell])

    def document(self, thing: Storable) -> int:
        """The id of a Route's or Spec's stored form."""
        if id(thing) not in self._documents:
            self.know([thing])
        return self._documents[id(thing)][1]

    def know(self, things: Iterable[Storable]) -> None:
        """The ids of all these, with few questions."""
        new = {id(thing): thing for thing in things if id(thing) not in self._documents}
        if not new:
            return
        contents = {key: orjson.dumps(thing.as_json(), option=orjson.OPT_SORT_KEYS) for key, thing in new.items()}
        digests = {key: sha256(content).digest() for key, content in contents.items()}
        wanted = list(set(digests.values()))
        found: dict[bytes, int] = dict(rows(self._db, DOCUMENTS, (wanted,)))
        missing = {digest: key for key, digest in digests.items() if digest not in found}
        if missing:
            run(self._db, WRITE_DOCUMENTS, _columns(missing, new, contents))
            found.update(rows(self._db, DOCUMENTS, (list(missing),)))
        self._documents.update({key: (thing, found[digests[key]]) for key, thing in new.items()})


def _columns(missing: dict[bytes, int], things: dict[int, Storable], contents: dict[int, bytes]) -> Sequence[list[Any]]:
    specs = [thing if isinstance(thing := things[key], Spec) else None for key in missing.values()]
    return (
        list(missing),
        [contents[key] for key in missing.values()],
        [spec.type if spec else None for spec in specs],
        [spec.wire.value if spec else None for spec in specs],
    )


def cell_id(
    db: Db, run_id: int, model: str, lane: str, urgency: int, *, shelf: bool = False, aside: bool = False
) -> int:
    place = (run_id, model, lane, urgency, shelf)
    found = scalar(db, CELL, place)
    if found is None:
        run(db, MAKE_CELL, (*place, aside))
        found = scalar(db, CELL, place)
    return int(found)
