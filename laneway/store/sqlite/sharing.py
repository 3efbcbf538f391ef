"""``dedupe_for``: the same key within that time is the earlier task, in whichever run.

A row of a file run that has an earlier *twin* elsewhere waits for it (wait_reason ``shared``) and takes over its
result, unpaid. When the twin fails, or its content is gone, the row stands alone and is done like any other. When
nobody works in the twin's run, the two change places: whoever is asked for does the work, and it is done once.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import orjson

from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.runs import to_model
from laneway.store.sqlite.transaction import Transaction
from laneway.task import State

LOOK_AGAIN_S = 5.0  # how often a waiting row looks after its twin; a twin that ends wakes it at once

FOLLOWED = "SELECT 1 FROM task WHERE twin_id IS NOT NULL AND state = 'waiting' LIMIT 1"
ROUSE = """
    UPDATE task SET wake_at = 0
    WHERE state = 'waiting' AND twin_id IS NOT NULL AND twin_id IN (SELECT value FROM json_each(?))
"""
TWIN = """
    SELECT t.state, t.run_id, t.cell_id, t.twin_id, t.result_seq, c.model, length(p.body)
    FROM task t JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id WHERE t.id = ?
"""
TAKE_OVER = """
    INSERT INTO result (seq, task_id, settled_at, cost, request_id, error, output)
    SELECT ?, ?, ?, 0.0, request_id, NULL, output FROM result WHERE seq = ?
"""
SUCCEED = """
    UPDATE task SET state = 'succeeded', wake_at = NULL, wait_reason = NULL, result_seq = ? WHERE id = ?
"""
STAND_ALONE = "UPDATE task SET state = 'ready', wake_at = NULL, wait_reason = NULL, twin_id = NULL WHERE id = ?"
FOLLOW = "UPDATE task SET state = 'waiting', wake_at = ?, wait_reason = 'shared', twin_id = ? WHERE id = ?"


def rouse(tx: Transaction, settled: Sequence[int]) -> None:
    """Let whoever waits for these tasks look at once."""
    if settled and scalar(tx.db, FOLLOWED) is not None:
        tx.db.execute(ROUSE, (orjson.dumps(list(settled)).decode(),))


def look(tx: Transaction, rows: Sequence[tuple[int, int, int]], now: float) -> None:
    """What becomes of rows (id, cell, twin) whose time to look after their twins has come."""
    busy: dict[int, bool] = {}
    for id_, cell, twin_id in rows:
        twin = next(iter(tx.db.execute(TWIN, (twin_id,))), None)
        state = State.FAILED if twin is None else State(twin[0])
        if twin is None or state in (State.FAILED, State.CANCELLED) or not twin[6]:
            _stand_alone(tx, id_, cell)
        elif state is State.SUCCEEDED:
            _take_over(tx, id_, cell, twin[4], twin[5], now)
        elif state is State.WAITING and twin[3] is not None and twin[3] != id_:
            tx.db.execute(FOLLOW, (now + LOOK_AGAIN_S, twin[3], id_))
        elif state in (State.RUNNING, State.TRIAGING) or _busy(tx.db, twin[1], busy):
            tx.db.execute(FOLLOW, (now + LOOK_AGAIN_S, twin_id, id_))
        else:
            tx.db.execute(FOLLOW, (now + LOOK_AGAIN_S, id_, twin_id))
            tx.move(twin[2], state, State.WAITING)
            _stand_alone(tx, id_, cell)


def _stand_alone(tx: Transaction, id_: int, cell: int) -> None:
    tx.db.execute(STAND_ALONE, (id_,))
    tx.move(cell, State.WAITING, State.READY)


def _take_over(tx: Transaction, id_: int, cell: int, result: int, model: str, now: float) -> None:
    seq = tx.next_seq()
    tx.db.execute(TAKE_OVER, (seq, id_, now, result))
    tx.db.execute(SUCCEED, (seq, id_))
    tx.move(cell, State.WAITING, State.SUCCEEDED)
    run_id, own = next(iter(tx.db.execute("SELECT run_id, model FROM cell WHERE id = ?", (cell,))))
    if own != model:
        to_model(tx, id_, run_id, cell, State.SUCCEEDED, model)


def _busy(db: apsw.Connection, run_id: int, known: dict[int, bool]) -> bool:
    """Whether somebody works in this run at the moment."""
    if run_id not in known:
        known[run_id] = bool(scalar(db, "SELECT total(running) FROM cell WHERE run_id = ?", (run_id,)))
    return known[run_id]
