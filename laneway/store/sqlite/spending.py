"""What each day cost, by account, lane and type: kept with the ledger, and asked before a claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import apsw
import orjson

from laneway.store import books
from laneway.store.books import Left, Place, Sums
from laneway.store.budgets import DAY_S, Budget, BudgetKind, Limits, Spending, day_of
from laneway.store.sqlite.connection import scalar
from laneway.task import State

if TYPE_CHECKING:
    from laneway.store.sqlite.transaction import Transaction

ADD = """
    INSERT INTO spending (day, kind, name, spent, reserved) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (day, kind, name) DO UPDATE SET
        spent = spending.spent + excluded.spent, reserved = spending.reserved + excluded.reserved
"""
OF_DAY = "SELECT kind, name, spent, reserved FROM spending WHERE day = ?"
TYPE = "SELECT CAST(content AS TEXT) ->> '$.type' FROM document WHERE id = ?"
WAITING = """
    SELECT p.spec_id, count(*) FROM task t JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    WHERE t.state = 'waiting' AND t.wait_reason = 'budget' AND (c.shelf = 0 OR c.aside)
          AND (?1 IS NULL OR t.run_id = ?1)
    GROUP BY 1
"""
HELD = """
    SELECT t.id, t.cell_id, p.spec_id FROM task t JOIN payload p ON p.task_id = t.id
    WHERE t.state = 'waiting' AND t.wait_reason = 'budget'
"""
LANE = "SELECT lane FROM cell WHERE id = ?"
# A lost call counts as it was reserved, until its late answer says what it cost.
LEDGER = """
    SELECT CAST(a.started_at / 86400 AS INTEGER), a.account, a.cell_id, p.spec_id,
           sum(CASE WHEN a.outcome = 'lost' AND a.latency IS NULL THEN coalesce(a.reserved_cost, 0)
                    WHEN a.outcome IS NOT NULL THEN coalesce(a.cost, 0) ELSE 0 END),
           sum(CASE WHEN a.outcome IS NULL THEN coalesce(a.reserved_cost, 0) ELSE 0 END)
    FROM attempt a JOIN payload p ON p.task_id = a.task_id WHERE a.cell_id IS NOT NULL GROUP BY 1, 2, 3, 4
"""


class Books(Sums):
    def __init__(self, db: apsw.Connection) -> None:
        super().__init__()
        self._db = db
        self._types: dict[int, str] = {}
        self._lanes: dict[int, str] = {}

    def place(self, account: str, cell_id: int, spec_id: int) -> Place:
        if cell_id not in self._lanes:
            self._lanes[cell_id] = str(scalar(self._db, LANE, (cell_id,)))
        return Place(account, self._lanes[cell_id], self.type_of(spec_id))

    def type_of(self, spec_id: int) -> str:
        if spec_id not in self._types:
            self._types[spec_id] = str(scalar(self._db, TYPE, (spec_id,)))
        return self._types[spec_id]

    def by_budget(self) -> dict[tuple[int, Budget], list[float]]:
        """[spent, reserved] by day and budget."""
        found: dict[tuple[int, Budget], list[float]] = {}
        for (day, account, cell_id, spec_id), (spent, reserved) in self.new.items():
            for budget in self.place(account, cell_id, spec_id).budgets:
                sums = found.setdefault((day, budget), [0.0, 0.0])
                sums[0] += spent
                sums[1] += reserved
        return found

    def flush(self) -> None:
        if self.new:
            self._db.executemany(ADD, sorted((day, *budget, *sums) for (day, budget), sums in self.by_budget().items()))
            self.new.clear()


def left(tx: Transaction, limits: Limits, now: float) -> Left:
    """What may be claimed in this transaction."""
    if not limits:
        return Left(limits, {}, now)
    tx.books.flush()
    return Left(limits, of_day(tx.db, now), now)


def of_day(db: apsw.Connection, now: float) -> dict[Budget, Spending]:
    """Of the day of ``now``."""
    return books.of_day(db.execute(OF_DAY, (day_of(now),)))


def hold(tx: Transaction, cell_id: int, ids: list[int], until: float) -> None:
    """Ready tasks of a type whose budget is used up wait, and are in nobody's way. The time is not their own."""
    tx.db.execute(
        "UPDATE task SET state = 'waiting', wait_reason = 'budget', wake_at = ?, begun_at = NULL"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (until, orjson.dumps(ids).decode()),
    )
    tx.move(cell_id, State.READY, State.WAITING, len(ids))


def waiting(db: apsw.Connection, run_id: int | None) -> dict[str, int]:
    known, found = Books(db), dict[str, int]()
    for spec_id, n in list(db.execute(WAITING, (run_id,))):
        name = known.type_of(spec_id)
        found[name] = found.get(name, 0) + n
    return found


def affords(tx: Transaction, run_id: int, cost: float | None) -> bool:
    """Whether the run's budget, if it has one, has so much left. A price that nobody knows is too high."""
    free = scalar(tx.db, "SELECT max_cost - (spent - budget_base) - reserved FROM run WHERE id = ?", (run_id,))
    return free is None or (cost is not None and cost <= free)


def release(tx: Transaction, limits: Limits, now: float) -> int:
    """Ready those that waited for a budget which has something left by now, or is there no more."""
    what_is_left = left(tx, limits, now)
    ids = []
    for id_, cell_id, spec_id in list(tx.db.execute(HELD)):
        if what_is_left.allows_type(tx.books.type_of(spec_id), priced=True):
            ids.append((id_,))
            tx.move(cell_id, State.WAITING, State.READY)
    tx.db.executemany("UPDATE task SET state = 'ready', wait_reason = NULL, wake_at = NULL WHERE id = ?", ids)
    return len(ids)


def any_held(db: apsw.Connection) -> bool:
    return scalar(db, f"{HELD} LIMIT 1") is not None


def faults(db: apsw.Connection) -> Iterator[str]:
    """Where the books of the days are not what the ledger adds up to."""
    ledger = Books(db)
    for day, account, cell_id, spec_id, spent, reserved in list(db.execute(LEDGER)):
        ledger.add(day * DAY_S, account, cell_id, spec_id, reserved=reserved, spent=spent)
    rows = db.execute("SELECT day, kind, name, spent, reserved FROM spending")
    kept = {(day, Budget(BudgetKind(kind), name)): [spent, reserved] for day, kind, name, spent, reserved in rows}
    return books.differences(kept, ledger.by_budget())
