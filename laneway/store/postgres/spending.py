"""What each day cost, by account, lane and type: kept with the ledger, and asked before a claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from laneway.store import books
from laneway.store.books import Left, Sums
from laneway.store.budgets import Budget, BudgetKind, Limits, Spending, day_of
from laneway.store.postgres.connection import BUDGETS, Db, first, rows, run
from laneway.task import State

if TYPE_CHECKING:
    from laneway.store.postgres.transaction import Transaction

ADD = """
    INSERT INTO laneway.spending AS s (day, kind, name, shard, spent, reserved)
    SELECT n.day, b.kind, b.name, %s, sum(n.spent), sum(n.reserved)
    FROM unnest(%s::integer[], %s::text[], %s::bigint[], %s::bigint[], %s::float8[], %s::float8[])
         AS n (day, account, cell_id, spec_id, spent, reserved)
    JOIN laneway.cell c ON c.id = n.cell_id JOIN laneway.document d ON d.id = n.spec_id
    CROSS JOIN LATERAL (VALUES ('account', n.account), ('lane', c.lane), ('type', d.type)) AS b (kind, name)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (day, kind, name, shard) DO UPDATE SET
        spent = s.spent + excluded.spent, reserved = s.reserved + excluded.reserved
"""
OF_DAY = "SELECT kind, name, sum(spent), sum(reserved) FROM laneway.spending WHERE day = %s GROUP BY 1, 2"
HOLD = """
    UPDATE laneway.task SET state = 'waiting', wait_reason = 'budget', wake_at = %s, begun_at = NULL
    WHERE id = ANY(%s) AND cell_id = %s AND state = 'ready'
"""
WAITING = """
    SELECT d.type, count(*) FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id
    JOIN laneway.payload p ON p.task_id = t.id JOIN laneway.document d ON d.id = p.spec_id
    WHERE t.state = 'waiting' AND t.wait_reason = 'budget' AND (NOT c.shelf OR c.aside)
          AND (%(run)s::bigint IS NULL OR t.run_id = %(run)s)
    GROUP BY 1
"""
HELD = """
    SELECT t.id, t.cell_id, d.type FROM laneway.task t JOIN laneway.payload p ON p.task_id = t.id
    JOIN laneway.document d ON d.id = p.spec_id WHERE t.state = 'waiting' AND t.wait_reason = 'budget'
"""
RELEASE = "UPDATE laneway.task SET state = 'ready', wait_reason = NULL, wake_at = NULL WHERE id = ANY(%s)"
KEPT = "SELECT day, kind, name, sum(spent), sum(reserved) FROM laneway.spending GROUP BY 1, 2, 3"
# A lost call counts as it was reserved, until its late answer says what it cost.
LEDGER = """
    SELECT floor(a.started_at / 86400)::integer, b.kind, b.name,
           sum(CASE WHEN a.outcome = 'lost' AND a.latency IS NULL THEN coalesce(a.reserved_cost, 0)
                    WHEN a.outcome IS NOT NULL THEN coalesce(a.cost, 0) ELSE 0 END),
           sum(CASE WHEN a.outcome IS NULL THEN coalesce(a.reserved_cost, 0) ELSE 0 END)
    FROM laneway.attempt a JOIN laneway.cell c ON c.id = a.cell_id
    JOIN laneway.payload p ON p.task_id = a.task_id JOIN laneway.document d ON d.id = p.spec_id
    CROSS JOIN LATERAL (VALUES ('account', a.account), ('lane', c.lane), ('type', d.type)) AS b (kind, name)
    GROUP BY 1, 2, 3
"""


class Books(Sums):
    """Each process adds to rows of its own (``shard``): nobody waits for another's commit."""

    def __init__(self, db: Db, shard: int) -> None:
        super().__init__()
        self._db = db
        self._shard = shard

    def flush(self) -> None:
        if self.new:
            places = [list(column) for column in zip(*self.new, strict=True)]
            sums = [list(column) for column in zip(*self.new.values(), strict=True)]
            run(self._db, ADD, (self._shard, *places, *sums))
            self.new.clear()


def left(tx: Transaction, limits: Limits, now: float) -> Left:
    """What may be claimed until this transaction ends: where there are limits, nobody else claims meanwhile."""
    if not limits:
        return Left(limits, {}, now)
    run(tx.db, "SELECT pg_advisory_xact_lock(%s)", (BUDGETS,))
    tx.books.flush()
    return Left(limits, of_day(tx.db, now), now)


def of_day(db: Db, now: float) -> dict[Budget, Spending]:
    """Of the day of ``now``."""
    return books.of_day(rows(db, OF_DAY, (day_of(now),)))


def hold(tx: Transaction, cell_id: int, ids: list[int], until: float) -> None:
    """Ready tasks of a type whose budget is used up wait, and are in nobody's way. The time is not their own."""
    held = run(tx.db, HOLD, (until, ids, cell_id)).rowcount  # some may have been called off since
    tx.move(cell_id, State.READY, State.WAITING, held)


def waiting(db: Db, run_id: int | None) -> dict[str, int]:
    return dict(rows(db, WAITING, {"run": run_id}))


def release(tx: Transaction, limits: Limits, now: float) -> int:
    """Ready those that waited for a budget which has something left by now, or is there no more."""
    what_is_left = left(tx, limits, now)
    ids = []
    for id_, cell_id, type_ in rows(tx.db, f"{HELD} ORDER BY t.id FOR UPDATE OF t"):
        if what_is_left.allows_type(type_, priced=True):
            ids.append(id_)
            tx.move(cell_id, State.WAITING, State.READY)
    run(tx.db, RELEASE, (ids,))
    return len(ids)


def any_held(db: Db) -> bool:
    return first(db, f"{HELD} LIMIT 1") is not None


def faults(db: Db) -> Iterator[str]:
    """Where the books of the days are not what the ledger adds up to."""
    kept, real = (
        {(day, Budget(BudgetKind(kind), name)): sums for day, kind, name, *sums in rows(db, sql)}
        for sql in (KEPT, LEDGER)
    )
    return books.differences(kept, real)
