"""Tasks that go to another model of their route because theirs is away or slow."""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.detours import Detour, Stray, Strays
from laneway.store.postgres.connection import Db, first, rows, run
from laneway.store.postgres.documents import Documents
from laneway.store.postgres.places import cell_id
from laneway.store.postgres.transaction import Transaction
from laneway.task import State

LOOK = """
    SELECT t.id, t.due_at, t.input_tokens, t.output_tokens, p.route_id
    FROM laneway.task t JOIN laneway.payload p ON p.task_id = t.id
    WHERE t.cell_id = %s AND t.state = 'ready' AND (t.due_at, t.id) > (%s, %s) ORDER BY t.due_at, t.id LIMIT %s
"""
CELL = "SELECT run_id, model, lane, urgency, aside FROM laneway.cell WHERE id = %s AND (NOT shelf OR aside)"
MOVE = """
    WITH ready AS (
        SELECT id FROM laneway.task WHERE id = ANY(%s) AND cell_id = %s AND state = 'ready'
        ORDER BY id FOR UPDATE SKIP LOCKED
    ) UPDATE laneway.task t SET cell_id = %s FROM ready WHERE t.id = ready.id RETURNING t.id
"""
SAY = """
    INSERT INTO laneway.detour (run_id, task_id, at, origin, model, reason)
    SELECT %s, id, %s, %s, %s, %s FROM unnest(%s::bigint[]) AS went (id)
    ON CONFLICT (run_id, task_id, at) DO UPDATE SET
        origin = excluded.origin, model = excluded.model, reason = excluded.reason
"""
OF_TASK = "SELECT at, origin, model, reason FROM laneway.detour WHERE run_id = %s AND task_id = %s ORDER BY at"
COUNTED = """
    SELECT origin, model, count(DISTINCT task_id) FROM laneway.detour WHERE run_id = %s AND at >= %s
    GROUP BY 1, 2 ORDER BY 1, 2
"""


def strays(db: Db, documents: Documents, cell: int, after: tuple[float, int] | None, limit: int) -> Strays:
    place = first(db, CELL, (cell,))
    model = "" if place is None else place[1]
    due_at, id_ = after or (float("-inf"), 0)
    seen = rows(db, LOOK, (cell, due_at, id_, limit))
    documents.read(db, [row[-1] for row in seen])
    found = [
        Stray(id_, due_at, input_tokens, output_tokens, further)
        for id_, due_at, input_tokens, output_tokens, route in seen
        if (further := documents.route(route).further(model))
    ]
    cursor = (seen[-1][1], seen[-1][0]) if len(seen) == limit else None
    return Strays(tuple(found), len(seen) - len(found), cursor)


def divert(
    tx: Transaction, cell: int, task_ids: Sequence[int], model: str, reason: str, now: float
) -> tuple[int, list[int]]:
    """The cell that they are in now, and who went."""
    place = first(tx.db, CELL, (cell,))
    if place is None:
        return cell, []
    run_id, origin, lane, urgency, aside = place
    target = cell_id(tx.db, run_id, model, lane, urgency, shelf=aside, aside=aside)
    went = [id_ for (id_,) in rows(tx.db, MOVE, (list(task_ids), cell, target))]
    if went:
        run(tx.db, SAY, (run_id, now, origin, model, reason, went))
    tx.count(cell, State.READY, -len(went))
    tx.count(target, State.READY, len(went))
    return target, went


def of_task(db: Db, run_id: int, task_id: int) -> list[Detour]:
    return [Detour(*row) for row in rows(db, OF_TASK, (run_id, task_id))]


def counted(db: Db, run_id: int, since: float) -> dict[tuple[str, str], int]:
    return {(origin, model): n for origin, model, n in rows(db, COUNTED, (run_id, since))}
