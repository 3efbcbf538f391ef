"""Taking the content of ended tasks away: prompts, records, answers, words of errors. What the books need stays.

A pruned task has an empty body, which no request ever is.
"""

from __future__ import annotations

from laneway.store.keeping import PRUNED, Pruned, examine
from laneway.store.postgres.connection import Db, by_index, rows, run, scalar
from laneway.store.postgres.transaction import HORIZON, Transaction

SHELVED = 5000  # of the tasks that left their run unanswered, in one batch

# What is not in its results file yet is not finished with, unless its run was replaced or has no such file.
_ENDED = f"""
    SELECT r.seq, r.task_id, r.settled_at,
           coalesce(length(p.body) > 0 AND t.state IN ('succeeded', 'failed', 'cancelled')
               AND NOT EXISTS (
                   SELECT 1 FROM laneway.child c JOIN laneway.task f ON f.id = c.flow_id
                   WHERE c.child_id = t.id AND f.state NOT IN ('succeeded', 'failed', 'cancelled')
               ), false),
           coalesce(c.shelf OR r.seq <= n.cursor OR n.info ->> 'out' IS NULL
                    OR n.identity LIKE '%% (replaced ' || n.id || ')', false),
           coalesce(length(p.body), 0) + coalesce(length(p.record), 0) + coalesce(length(r.output), 0), t.run_id
    FROM laneway.result r LEFT JOIN laneway.task t ON t.id = r.task_id AND t.result_seq = r.seq
    LEFT JOIN laneway.payload p ON p.task_id = t.id LEFT JOIN laneway.cell c ON c.id = t.cell_id
    LEFT JOIN laneway.run n ON n.id = t.run_id
    WHERE r.seq > %s AND r.seq < ({HORIZON}) ORDER BY r.seq LIMIT %s
"""
# Dropped before they were answered: they have no result, and when they were dropped is not known.
_SHELVED = """
    SELECT t.id, length(p.body) + coalesce(length(p.record), 0) FROM laneway.cell c
    JOIN laneway.task t ON t.run_id = c.run_id AND t.cell_id = c.id JOIN laneway.payload p ON p.task_id = t.id
    WHERE c.shelf AND t.state = 'cancelled' AND t.result_seq IS NULL AND p.submitted_at < %(before)s
          AND length(p.body) > 0 AND (%(run)s::bigint IS NULL OR c.run_id = %(run)s)
    ORDER BY t.id LIMIT %(limit)s
"""
# Nobody changes them until the commit.
_LOCK = """
    SELECT id FROM laneway.task WHERE id = ANY(%s) AND state IN ('succeeded', 'failed', 'cancelled')
    ORDER BY id FOR UPDATE
"""
_PAYLOADS = "UPDATE laneway.payload SET body = '', record = NULL, complaint = NULL WHERE task_id = ANY(%s)"
_RESULTS = f"""
    UPDATE laneway.result SET output = NULL, error = jsonb_set(error, '{{message}}', '"{PRUNED}"')
    WHERE seq IN (SELECT result_seq FROM laneway.task WHERE id = ANY(%s))
"""
_ATTEMPTS = f"""
    UPDATE laneway.attempt SET error = jsonb_set(error, '{{message}}', '"{PRUNED}"')
    WHERE task_id = ANY(%s) AND error IS NOT NULL
"""
_NOTES = "UPDATE laneway.feedback SET note = NULL WHERE task_id = ANY(%s)"
_PRUNED = """
    SELECT count(*) FROM laneway.task t JOIN laneway.payload p ON p.task_id = t.id
    JOIN laneway.cell c ON c.id = t.cell_id
    WHERE t.run_id = %s AND t.generation = %s AND t.state = 'succeeded' AND NOT c.shelf AND length(p.body) = 0
"""


def look(db: Db, before: float, run_id: int | None, after: int, limit: int) -> tuple[Pruned, list[int]]:
    """What a batch would take away, and from which tasks."""
    shelved = rows(db, _SHELVED, {"before": before, "run": run_id, "limit": SHELVED}) if after == 0 else ()
    with by_index(db):
        ended = rows(db, _ENDED, (after, limit))
    return examine(shelved, ended, before, run_id, after, limit)


def take_away(tx: Transaction, before: float, run_id: int | None, after: int, limit: int) -> Pruned:
    """The same, and do it. Looks again: a run that begins anew needs its answers for its results file. And once more
    when they are locked: one that was readied meanwhile needs its request."""
    locked = {id_ for (id_,) in rows(tx.db, _LOCK, (look(tx.db, before, run_id, after, limit)[1],))}
    found, ended = look(tx.db, before, run_id, after, limit)
    task_ids = [id_ for id_ in ended if id_ in locked]
    for statement in (_PAYLOADS, _RESULTS, _ATTEMPTS, _NOTES):
        run(tx.db, statement, (task_ids,))
    return found._replace(tasks=len(task_ids))


def pruned(db: Db, run_id: int, generation: int) -> int:
    """How many answers of the run are not there any more."""
    return int(scalar(db, _PRUNED, (run_id, generation)))


def unpruned(db: Db, task_ids: list[int]) -> set[int]:
    """Those of them of which there is something left to be sent."""
    left = "SELECT task_id FROM laneway.payload WHERE task_id = ANY(%s) AND length(body) > 0"
    return {id_ for (id_,) in rows(db, left, (task_ids,))}


def scrub(db: Db, *, shrink: bool) -> bool:
    """Let what was taken away leave the disk. ``shrink`` also rewrites the tables, which holds all others up."""
    for table in ("payload", "result", "attempt", "feedback"):
        db.execute(f"VACUUM {'(FULL) ' * shrink}laneway.{table}")
    return True
