"""Results of tasks that no worker could finish."""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.postgres.connection import array, run
from laneway.store.postgres.ledger import error_json
from laneway.store.postgres.transaction import Transaction
from laneway.task import Failure

NO_RESULTS = """
    WITH s AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[]) AS s (seq, task_id)),
    written AS (
        INSERT INTO laneway.result (seq, task_id, settled_at, error) SELECT seq, task_id, %s, %s::jsonb FROM s
    )
    UPDATE laneway.task t SET result_seq = s.seq FROM s WHERE t.id = s.task_id
"""


def fail(tx: Transaction, task_id: int, failure: Failure, now: float) -> None:
    """Write the result of a task that no worker could finish."""
    fail_all(tx, [task_id], failure, now)


def fail_all(tx: Transaction, task_ids: Sequence[int], failure: Failure, now: float) -> None:
    run(tx.db, NO_RESULTS, (array(tx.next_seq() for _ in task_ids), array(task_ids), now, error_json(failure)))
