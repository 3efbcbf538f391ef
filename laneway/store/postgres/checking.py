"""The store's own check: every maintained sum against the rows that it counts."""

from __future__ import annotations

from collections.abc import Iterator

from laneway.store.postgres import spending
from laneway.store.postgres.connection import Db, rows, scalar
from laneway.store.postgres.transaction import SEQ_BITS, STATES

COUNTED = f"""
    SELECT coalesce(k.cell_id, r.cell_id), coalesce(k.state, r.state), coalesce(k.n, 0), coalesce(r.n, 0)
    FROM (
        SELECT cell_id, state, sum(n)::bigint AS n FROM laneway.cell_count CROSS JOIN LATERAL
        (VALUES {", ".join(f"('{state}', {state})" for state in STATES)}) AS one (state, n) GROUP BY 1, 2
    ) k FULL JOIN (SELECT cell_id, state, count(*) AS n FROM laneway.task GROUP BY 1, 2) r USING (cell_id, state)
    WHERE coalesce(k.n, 0) <> coalesce(r.n, 0) ORDER BY 1, 2
"""
WRONG = (
    (
        "{} tasks without payload",
        "SELECT count(*) FROM laneway.task t WHERE NOT EXISTS (SELECT 1 FROM laneway.payload p WHERE p.task_id = t.id)",
    ),
    (
        "{} tasks run without a worker",
        "SELECT count(*) FROM laneway.task WHERE state = 'running' AND worker_id IS NULL",
    ),
    (
        "{} ended tasks without a result",
        "SELECT count(*) FROM laneway.task t LEFT JOIN laneway.result r ON r.seq = t.result_seq AND r.task_id = t.id"
        " WHERE t.state IN ('succeeded', 'failed') AND r.seq IS NULL",
    ),
    (
        "{} results are numbered above what this server has come to: a dump of another filled it (docs/scale.md)",
        "SELECT count(*) FROM laneway.result"
        f" WHERE seq >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint << {SEQ_BITS}",
    ),
    (
        "{} tasks wait for an earlier one that is not there",
        "SELECT count(*) FROM laneway.task f LEFT JOIN laneway.task t ON t.id = f.twin_id"
        " WHERE f.state = 'waiting' AND f.twin_id IS NOT NULL AND (t.id IS NULL OR f.wake_at IS NULL)",
    ),
)


def check(db: Db) -> list[str]:
    """In one snapshot, so that it may be asked while others write."""
    with db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return list(_faults(db))


def _faults(db: Db) -> Iterator[str]:
    for cell_id, state, counted, there in rows(db, COUNTED):
        yield f"cell {cell_id}: {counted} {state} counted, {there} there"
    for say, sql in WRONG:
        if n := scalar(db, sql):
            yield say.format(n)
    yield from spending.faults(db)
