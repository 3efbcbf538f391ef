"""What has been before, for a plan: tasks that a run knows already, and the newest calls of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.figures import PastCall
from laneway.store.postgres.connection import Db, rows
from laneway.store.postgres.documents import Documents
from laneway.store.rows import past_call_of
from laneway.task import State

_KNOWN = "SELECT key, hash, state FROM laneway.task WHERE run_id = %s AND key = ANY(%s) ORDER BY generation"
# the primary key begins with the task: its end holds the newest
_CALLS = """
    SELECT a.model, p.spec_id, a.account, a.outcome, a.started_at, a.latency, t.input_tokens,
           a.input_tokens, a.output_tokens, a.cached_tokens
    FROM laneway.attempt a JOIN laneway.task t ON t.id = a.task_id JOIN laneway.payload p ON p.task_id = a.task_id
    WHERE a.model = %s AND a.call = 0 AND a.outcome IS NOT NULL
    ORDER BY a.task_id DESC, a.fence DESC LIMIT %s
"""


def known(db: Db, run_id: int, keys: Sequence[str]) -> dict[tuple[str, bytes], State]:
    found = rows(db, _KNOWN, (run_id, [key for key in keys if "\x00" not in key]))
    return {(key, digest): State(state) for key, digest, state in found}


def calls(db: Db, documents: Documents, model: str, limit: int) -> list[PastCall]:
    found = rows(db, _CALLS, (model, limit))
    documents.read(db, [row[1] for row in found])
    return [past_call_of(row, documents.spec(row[1])) for row in found]
