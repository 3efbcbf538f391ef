"""Tasks that go to another model of their route because theirs is away or slow."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import orjson

from laneway.store.detours import Detour, Stray, Strays
from laneway.store.sqlite.places import cell_id
from laneway.store.sqlite.reading import Documents
from laneway.store.sqlite.transaction import Transaction
from laneway.task import State

LOOK = """
    SELECT t.id, t.due_at, t.input_tokens, t.output_tokens, p.route_id
    FROM task t JOIN payload p ON p.task_id = t.id
    WHERE t.cell_id = ?1 AND t.state = 'ready' AND (t.due_at, t.id) > (?2, ?3) ORDER BY t.due_at, t.id LIMIT ?4
"""
CELL = "SELECT run_id, model, lane, urgency, aside FROM cell WHERE id = ? AND (shelf = 0 OR aside = 1)"
MOVE = """
    UPDATE task SET cell_id = ?1
    WHERE id IN (SELECT value FROM json_each(?2)) AND cell_id = ?3 AND state = 'ready' RETURNING id
"""
SAY = "INSERT OR REPLACE INTO detour (run_id, task_id, at, origin, model, reason) VALUES (?, ?, ?, ?, ?, ?)"
OF_TASK = "SELECT at, origin, model, reason FROM detour WHERE run_id = ? AND task_id = ? ORDER BY at"
COUNTED = """
    SELECT origin, model, count(DISTINCT task_id) FROM detour WHERE run_id = ? AND at >= ? GROUP BY 1, 2 ORDER BY 1, 2
"""


def strays(db: apsw.Connection, documents: Documents, cell: int, after: tuple[float, int] | None, limit: int) -> Strays:
    model = next((row[1] for row in db.execute(CELL, (cell,))), "")
    due_at, id_ = after or (float("-inf"), 0)
    rows = list(db.execute(LOOK, (cell, due_at, id_, limit)))
    found = [
        Stray(id_, due_at, input_tokens, output_tokens, further)
        for id_, due_at, input_tokens, output_tokens, route in rows
        if (further := documents.route(route).further(model))
    ]
    cursor = (rows[-1][1], rows[-1][0]) if len(rows) == limit else None
    return Strays(tuple(found), len(rows) - len(found), cursor)


def divert(
    tx: Transaction, cell: int, task_ids: Sequence[int], model: str, reason: str, now: float
) -> tuple[int, list[int]]:
    """The cell that they are in now, and who went."""
    for run_id, origin, lane, urgency, aside in list(tx.db.execute(CELL, (cell,))):
        target = cell_id(tx.db, run_id, model, lane, urgency, aside, aside)
        ids = orjson.dumps(list(task_ids)).decode()
        went = [id_ for (id_,) in tx.db.execute(MOVE, (target, ids, cell))]
        tx.db.executemany(SAY, [(run_id, id_, now, origin, model, reason) for id_ in went])
        tx.count(cell, State.READY, -len(went))
        tx.count(target, State.READY, len(went))
        return target, went
    return cell, []


def of_task(db: apsw.Connection, run_id: int, task_id: int) -> list[Detour]:
    return [Detour(*row) for row in db.execute(OF_TASK, (run_id, task_id))]


def counted(db: apsw.Connection, run_id: int, since: float) -> dict[tuple[str, str], int]:
    return {(origin, model): n for origin, model, n in db.execute(COUNTED, (run_id, since))}
