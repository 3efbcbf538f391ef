"""``dedupe_for``: the same key within that time is the earlier task, in whichever run.

A row of a file run that has an earlier *twin* elsewhere waits for it (wait_reason ``shared``) and takes over its
result, unpaid. When the twin fails, or its content is gone, the row stands alone and is done like any other. When
nobody works in the twin's run, the two change places: whoever is asked for does the work, and it is done once.
"""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.postgres.connection import Db, first, rows, run, scalar
from laneway.store.postgres.runs import to_model
from laneway.store.postgres.transaction import Transaction
from laneway.task import State

LOOK_AGAIN_S = 5.0  # how often a waiting row looks after its twin; a twin that ends wakes it at once

FOLLOWED = "SELECT 1 FROM laneway.task WHERE twin_id IS NOT NULL AND state = 'waiting' LIMIT 1"
ROUSE = "UPDATE laneway.task SET wake_at = 0 WHERE state = 'waiting' AND twin_id IS NOT NULL AND twin_id = ANY(%s)"
TWIN = """
    SELECT t.state, t.run_id, t.cell_id, t.twin_id, t.result_seq, c.model, length(p.body)
    FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id JOIN laneway.payload p ON p.task_id = t.id
    WHERE t.id = %s FOR UPDATE OF t
"""
TAKE_OVER = """
    INSERT INTO laneway.result (seq, task_id, settled_at, cost, request_id, error, output)
    SELECT %s, %s, %s, 0.0, request_id, NULL, output FROM laneway.result WHERE seq = %s
"""
SUCCEED = """
    UPDATE laneway.task SET state = 'succeeded', wake_at = NULL, wait_reason = NULL, result_seq = %s WHERE id = %s
"""
STAND_ALONE = """
    UPDATE laneway.task SET state = 'ready', wake_at = NULL, wait_reason = NULL, twin_id = NULL WHERE id = %s
"""
FOLLOW = "UPDATE laneway.task SET state = 'waiting', wake_at = %s, wait_reason = 'shared', twin_id = %s WHERE id = %s"
RUNNING = """
    SELECT coalesce(sum(n.running), 0) FROM laneway.cell c JOIN laneway.cell_count n ON n.cell_id = c.id
    WHERE c.run_id = %s
"""


def rouse(tx: Transaction, settled: Sequence[int]) -> None:
    """Let whoever waits for these tasks look at once."""
    if settled and scalar(tx.db, FOLLOWED) is not None:
        run(tx.db, ROUSE, (list(settled),))


def look(tx: Transaction, found: Sequence[tuple[int, int, int]], now: float) -> None:
    """What becomes of rows (id, cell, twin) whose time to look after their twins has come."""
    busy: dict[int, bool] = {}
    for id_, cell, twin_id in found:
        twin = first(tx.db, TWIN, (twin_id,))
        state = State.FAILED if twin is None else State(twin[0])
        if twin is None or state in (State.FAILED, State.CANCELLED) or not twin[6]:
            _stand_alone(tx, id_, cell)
        elif state is State.SUCCEEDED:
            _take_over(tx, id_, cell, twin[4], twin[5], now)
        elif state is State.WAITING and twin[3] is not None and twin[3] != id_:
            run(tx.db, FOLLOW, (now + LOOK_AGAIN_S, twin[3], id_))
        elif state in (State.RUNNING, State.TRIAGING) or _busy(tx.db, twin[1], busy):
            run(tx.db, FOLLOW, (now + LOOK_AGAIN_S, twin_id, id_))
        else:
            run(tx.db, FOLLOW, (now + LOOK_AGAIN_S, id_, twin_id))
            tx.move(twin[2], state, State.WAITING)
            _stand_alone(tx, id_, cell)


def _stand_alone(tx: Transaction, id_: int, cell: int) -> None:
    run(tx.db, STAND_ALONE, (id_,))
    tx.move(cell, State.WAITING, State.READY)


def _take_over(tx: Transaction, id_: int, cell: int, result: int, model: str, now: float) -> None:
    seq = tx.next_seq()
    run(tx.db, TAKE_OVER, (seq, id_, now, result))
    run(tx.db, SUCCEED, (seq, id_))
    tx.move(cell, State.WAITING, State.SUCCEEDED)
    ((run_id, own),) = rows(tx.db, "SELECT run_id, model FROM laneway.cell WHERE id = %s", (cell,))
    if own != model:
        to_model(tx, id_, run_id, cell, State.SUCCEEDED, model)


def _busy(db: Db, run_id: int, known: dict[int, bool]) -> bool:
    """Whether somebody works in this run at the moment."""
    if run_id not in known:
        known[run_id] = scalar(db, RUNNING, (run_id,)) > 0
    return known[run_id]
