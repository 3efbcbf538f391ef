"""Taking the content of ended tasks away: prompts, records, answers, words of errors. What the books need stays.

A pruned task has an empty body, which no request ever is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import orjson

from laneway.store.keeping import PRUNED, Pruned, examine
from laneway.store.sqlite.connection import connect, scalar
from laneway.store.sqlite.locks import FileLock
from laneway.store.sqlite.transaction import Transaction

CHECKPOINT_PATIENCE_MS = 300  # for readers, while writers wait
SHELVED = 5000  # of the tasks that left their run unanswered, in one batch

# What is not in its results file yet is not finished with, unless its run was replaced or has no such file.
_ENDED = """
    SELECT r.seq, r.task_id, r.settled_at,
           length(p.body) > 0 AND t.state IN ('succeeded', 'failed', 'cancelled')
               AND NOT EXISTS (
                   SELECT 1 FROM child c JOIN task f ON f.id = c.flow_id
                   WHERE c.child_id = t.id AND f.state NOT IN ('succeeded', 'failed', 'cancelled')
               ),
           c.shelf OR r.seq <= n.cursor OR n.info ->> '$.out' IS NULL OR n.identity LIKE '% (replaced ' || n.id || ')',
           length(p.body) + coalesce(length(p.record), 0) + coalesce(length(r.output), 0), t.run_id
    FROM result r LEFT JOIN task t ON t.id = r.task_id AND t.result_seq = r.seq
    LEFT JOIN payload p ON p.task_id = t.id LEFT JOIN cell c ON c.id = t.cell_id LEFT JOIN run n ON n.id = t.run_id
    WHERE r.seq > ? ORDER BY r.seq LIMIT ?
"""
# Dropped before they were answered: they have no result, and when they were dropped is not known.
_SHELVED = """
    SELECT t.id, length(p.body) + coalesce(length(p.record), 0) FROM cell c
    JOIN task t ON t.run_id = c.run_id AND t.cell_id = c.id JOIN payload p ON p.task_id = t.id
    WHERE c.shelf = 1 AND c.cancelled > 0 AND t.state = 'cancelled' AND t.result_seq IS NULL AND p.submitted_at < ?1
          AND length(p.body) > 0 AND (?2 IS NULL OR c.run_id = ?2) LIMIT ?3
"""
_PAYLOADS = """
    UPDATE payload SET body = x'', record = NULL, complaint = NULL
    WHERE task_id IN (SELECT value FROM json_each(?))
"""
_RESULTS = f"""
    UPDATE result SET output = NULL, error = json_set(error, '$.message', '{PRUNED}')
    WHERE seq IN (SELECT result_seq FROM task WHERE id IN (SELECT value FROM json_each(?)))
"""
_ATTEMPTS = f"""
    UPDATE attempt SET error = json_set(error, '$.message', '{PRUNED}')
    WHERE task_id IN (SELECT value FROM json_each(?)) AND error IS NOT NULL
"""
_NOTES = "UPDATE feedback SET note = NULL WHERE task_id IN (SELECT value FROM json_each(?))"
_PRUNED = """
    SELECT count(*) FROM task t JOIN payload p ON p.task_id = t.id JOIN cell c ON c.id = t.cell_id
    WHERE t.run_id = ? AND t.generation = ? AND t.state = 'succeeded' AND c.shelf = 0 AND length(p.body) = 0
"""


def look(db: apsw.Connection, before: float, run_id: int | None, after: int, limit: int) -> tuple[Pruned, list[int]]:
    """What a batch would take away, and from which tasks."""
    shelved = db.execute(_SHELVED, (before, run_id, SHELVED)) if after == 0 else ()
    return examine(shelved, db.execute(_ENDED, (after, limit)), before, run_id, after, limit)


def take_away(tx: Transaction, before: float, run_id: int | None, after: int, limit: int) -> Pruned:
    """The same, and do it. Looks again: a run that begins anew needs its answers for its results file."""
    found, task_ids = look(tx.db, before, run_id, after, limit)
    ids = orjson.dumps(task_ids).decode()
    for statement in (_PAYLOADS, _RESULTS, _ATTEMPTS, _NOTES):
        tx.db.execute(statement, (ids,))
    return found


def pruned(db: apsw.Connection, run_id: int, generation: int) -> int:
    """How many answers of the run are not there any more."""
    return int(scalar(db, _PRUNED, (run_id, generation)))


def is_pruned(db: apsw.Connection, task_id: int) -> bool:
    """Whether there is nothing left to be sent."""
    return bool(scalar(db, "SELECT length(body) = 0 FROM payload WHERE task_id = ?", (task_id,)))


def scrub(path: Path, *, shrink: bool) -> bool:
    """Let what was taken away leave the files: the main file has it overwritten already (``secure_delete``), the log of
    writes is emptied. ``shrink`` also rewrites the main file, which holds all writers up. False while readers are in
    the way."""
    turn = FileLock(path.with_name(path.name + "-turn"))
    db = connect(path)
    try:
        with turn.held():
            db.set_busy_timeout(CHECKPOINT_PATIENCE_MS)
            if shrink:
                db.execute("VACUUM")
            busy: Any = next(iter(db.execute("PRAGMA wal_checkpoint(TRUNCATE)")))[0]
        return not busy
    finally:
        db.close()
        turn.close()
