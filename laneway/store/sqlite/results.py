"""Results: what an ended task leaves."""

from __future__ import annotations

import orjson

from laneway.store.sqlite.transaction import Transaction
from laneway.task import Failure

RESULT = """
    INSERT INTO result (seq, task_id, settled_at, cost, request_id, error, output) VALUES (?, ?, ?, ?, ?, ?, ?)
"""


def error_text(failure: Failure | None) -> str | None:
    return orjson.dumps(failure.as_json()).decode() if failure else None


def fail(tx: Transaction, task_id: int, failure: Failure, now: float) -> None:
    """Write the result of a task that no worker could finish."""
    seq = tx.next_seq()
    tx.db.execute("UPDATE task SET result_seq = ? WHERE id = ?", (seq, task_id))
    tx.db.execute(RESULT, (seq, task_id, now, None, None, error_text(failure), None))
