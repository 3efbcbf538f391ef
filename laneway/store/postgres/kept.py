"""Answers that were put aside for a stronger model's, and become results because no call of it will be made."""

from __future__ import annotations

from laneway.store.postgres import sharing
from laneway.store.postgres.connection import rows, run, scalar
from laneway.store.postgres.runs import to_model
from laneway.store.postgres.transaction import Transaction
from laneway.store.rows import kept_of
from laneway.task import State

KEPT = """
    SELECT t.id, t.cell_id, t.state, p.complaint
    FROM laneway.task t JOIN laneway.payload p ON p.task_id = t.id
    WHERE t.run_id = %s AND t.key IS NOT NULL AND t.state IN ('ready', 'waiting') AND p.complaint LIKE '%%"kept":{%%'
    ORDER BY t.id LIMIT %s FOR UPDATE OF t
"""
COST = "SELECT coalesce(sum(cost), 0) FROM laneway.attempt WHERE task_id = %s AND call = 0"
RESULT = "INSERT INTO laneway.result (seq, task_id, settled_at, cost, output) VALUES (%s, %s, %s, %s, %s)"


def settle_kept(tx: Transaction, run_id: int, now: float, limit: int) -> int:
    ended: list[int] = []
    for id_, cell, state, complaint in rows(tx.db, KEPT, (run_id, limit)):
        if (kept := kept_of(complaint)) is None:
            continue
        seq = tx.next_seq()
        run(tx.db, RESULT, (seq, id_, now, scalar(tx.db, COST, (id_,)), kept.output))
        run(tx.db, sharing.SUCCEED, (seq, id_))
        tx.move(cell, State(state), State.SUCCEEDED)
        to_model(tx, id_, run_id, cell, State.SUCCEEDED, kept.model)
        ended.append(id_)
    sharing.rouse(tx, ended)
    return len(ended)
