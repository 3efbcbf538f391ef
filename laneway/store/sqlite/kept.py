"""Answers that were put aside for a stronger model's, and become results because no call of it will be made."""

from __future__ import annotations

from laneway.store.rows import kept_of
from laneway.store.sqlite import sharing
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.results import RESULT
from laneway.store.sqlite.runs import to_model
from laneway.store.sqlite.transaction import Transaction
from laneway.task import State

KEPT = """
    SELECT t.id, t.cell_id, t.state, p.complaint FROM task t JOIN payload p ON p.task_id = t.id
    WHERE t.run_id = ? AND t.key IS NOT NULL AND t.state IN ('ready', 'waiting') AND p.complaint LIKE '%"kept":{%'
    ORDER BY t.id LIMIT ?
"""
COST = "SELECT total(cost) FROM attempt WHERE task_id = ? AND call = 0"


def settle_kept(tx: Transaction, run_id: int, now: float, limit: int) -> int:
    ended: list[int] = []
    for id_, cell, state, complaint in list(tx.db.execute(KEPT, (run_id, limit))):
        if (kept := kept_of(complaint)) is None:
            continue
        seq = tx.next_seq()
        tx.db.execute(RESULT, (seq, id_, now, scalar(tx.db, COST, (id_,)), None, None, kept.output))
        tx.db.execute(sharing.SUCCEED, (seq, id_))
        tx.move(cell, State(state), State.SUCCEEDED)
        to_model(tx, id_, run_id, cell, State.SUCCEEDED, kept.model)
        ended.append(id_)
    sharing.rouse(tx, ended)
    return len(ended)
