"""What has been before, for a plan: tasks that a run knows already, and the newest calls of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import orjson

from laneway.store.figures import PastCall
from laneway.store.rows import past_call_of
from laneway.store.sqlite.reading import Documents
from laneway.task import State

_KNOWN = """
    SELECT key, hash, state FROM task
    WHERE run_id = ? AND key IN (SELECT value FROM json_each(?)) ORDER BY generation
"""
# the primary key begins with the task: its end holds the newest
_CALLS = """
    SELECT a.model, p.spec_id, a.account, a.outcome, a.started_at, a.latency, t.input_tokens,
           a.input_tokens, a.output_tokens, a.cached_tokens
    FROM attempt a JOIN task t ON t.id = a.task_id JOIN payload p ON p.task_id = a.task_id
    WHERE a.model = ? AND a.call = 0 AND a.outcome IS NOT NULL
    ORDER BY a.task_id DESC, a.fence DESC LIMIT ?
"""


def known(db: apsw.Connection, run_id: int, keys: Sequence[str]) -> dict[tuple[str, bytes], State]:
    rows = db.execute(_KNOWN, (run_id, orjson.dumps(list(keys)).decode()))
    return {(key, digest): State(state) for key, digest, state in rows}


def calls(db: apsw.Connection, documents: Documents, model: str, limit: int) -> list[PastCall]:
    return [past_call_of(row, documents.spec(row[1])) for row in db.execute(_CALLS, (model, limit))]
