"""What each day cost, by account, lane and type: kept with the ledger, and asked before a claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import apsw
import orjson

from laneway.store.budgets import DAY_S, PROJECT, Budget, BudgetKind, Limits, Spending, day_of, end_of_day
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
    WHERE t.state = 'waiting' AND t.wait_reason = 'budget' AND c.shelf = 0 AND (?1 IS NULL OR t.run_id = ?1)
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
HELD_AT_ONCE = 1000
NEARBY = 100  # tasks of a type that calls in flight may free money for: so many stay where they stand
SOON_S = 10.0  # how long those behind them step aside, where they are in others' way
NOTHING = Spending()
ROUNDING = 1e-6  # USD: sums of floats, in another order


class Place(NamedTuple):
    """What a call counts for."""

    account: str
    lane: str
    type: str

    @property
    def budgets(self) -> tuple[Budget, Budget, Budget]:
        return (
            Budget(BudgetKind.ACCOUNT, self.account),
            Budget(BudgetKind.LANE, self.lane),
            Budget(BudgetKind.TYPE, self.type),
        )


class Books:
    """What one transaction adds, written once a commit."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._new: dict[tuple[int, str, int, int], list[float]] = {}  # by day, account, cell and spec
        self._types: dict[int, str] = {}
        self._lanes: dict[int, str] = {}

    def add(
        self,
        started_at: float,
        account: str,
        cell_id: int | None,
        spec_id: int,
        *,
        reserved: float = 0.0,
        spent: float = 0.0,
    ) -> None:
        """USD of one call. Without a cell its claim was booked nowhere."""
        if cell_id is None or not (reserved or spent):
            return
        key = (day_of(started_at), account, cell_id, spec_id)
        sums = self._new.get(key)
        if sums is None:
            sums = self._new[key] = [0.0, 0.0]
        sums[0] += spent
        sums[1] += reserved

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
        for (day, account, cell_id, spec_id), (spent, reserved) in self._new.items():
            for budget in self.place(account, cell_id, spec_id).budgets:
                sums = found.setdefault((day, budget), [0.0, 0.0])
                sums[0] += spent
                sums[1] += reserved
        return found

    def flush(self) -> None:
        if self._new:
            self._db.executemany(ADD, sorted((day, *budget, *sums) for (day, budget), sums in self.by_budget().items()))
            self._new.clear()


class Left:
    """What the budgets of a day still allow, while calls are being claimed."""

    def __init__(self, tx: Transaction, limits: Limits, now: float) -> None:
        self.limited = bool(limits)
        self.until = end_of_day(now)
        self.soon = now + SOON_S
        # A task that began before today may have waited for a budget since, which is not its own time.
        self.counted_from = float(day_of(now) * DAY_S) if limits else 0.0
        # Tasks of types that are over are passed by, many at once: they would have their turn again and again.
        self.looked_at = HELD_AT_ONCE if any(budget.kind is BudgetKind.TYPE for budget in limits) else 0
        self._limits = limits
        self._used: dict[Budget, Spending] = {}
        if limits:
            tx.books.flush()
            self._used = of_day(tx.db, now)

    def closed(self, place: Place) -> bool:
        """Whether no task may start there, of whichever type."""
        account, lane, _ = place.budgets
        return any(map(self._full, (PROJECT, account, lane)))

    def allows(self, place: Place, *, priced: bool) -> bool:
        """``priced``: what the call costs is known; else no budget of its type could be kept."""
        return not self.closed(place) and self.allows_type(place.type, priced=priced)

    def allows_type(self, type_: str, *, priced: bool) -> bool:
        budget = Budget(BudgetKind.TYPE, type_)
        return budget not in self._limits or (priced and not self._full(budget))

    def may_free(self, type_: str) -> bool:
        """Whether calls in flight hold what the type has left: they may turn out cheaper than they reserved."""
        budget = Budget(BudgetKind.TYPE, type_)
        return self._full(budget) and not self._of(budget).over(self._limits[budget])

    def take(self, place: Place, cost: float) -> None:
        for budget in (PROJECT, *place.budgets):
            one = self._of(budget)
            self._used[budget] = Spending(one.spent, one.reserved + cost)

    def _of(self, budget: Budget) -> Spending:
        return self._used.get(budget, NOTHING)

    def _full(self, budget: Budget) -> bool:
        limit = self._limits.get(budget)
        return limit is not None and self._of(budget).full(limit)


def of_day(db: apsw.Connection, now: float) -> dict[Budget, Spending]:
    """Of the day of ``now``. Every call has an account: together they make the project."""
    found = {
        Budget(BudgetKind(kind), name): Spending(spent, reserved)
        for kind, name, spent, reserved in db.execute(OF_DAY, (day_of(now),))
    }
    accounts = [one for budget, one in found.items() if budget.kind is BudgetKind.ACCOUNT]
    found[PROJECT] = Spending(sum(one.spent for one in accounts), sum(one.reserved for one in accounts))
    return found


def hold(tx: Transaction, cell_id: int, ids: list[int], until: float) -> None:
    """Ready tasks of a type whose budget is used up wait, and are in nobody's way. The time is not their own."""
    tx.db.execute(
        "UPDATE task SET state = 'waiting', wait_reason = 'budget', wake_at = ?, begun_at = NULL"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (until, orjson.dumps(ids).decode()),
    )
    tx.move(cell_id, State.READY, State.WAITING, len(ids))


def waiting(db: apsw.Connection, run_id: int | None) -> dict[str, int]:
    books, found = Books(db), dict[str, int]()
    for spec_id, n in list(db.execute(WAITING, (run_id,))):
        name = books.type_of(spec_id)
        found[name] = found.get(name, 0) + n
    return found


def release(tx: Transaction, limits: Limits, now: float) -> int:
    """Ready those that waited for a budget which has something left by now, or is there no more."""
    left = Left(tx, limits, now)
    ids = []
    for id_, cell_id, spec_id in list(tx.db.execute(HELD)):
        if left.allows_type(tx.books.type_of(spec_id), priced=True):
            ids.append((id_,))
            tx.move(cell_id, State.WAITING, State.READY)
    tx.db.executemany("UPDATE task SET state = 'ready', wait_reason = NULL, wake_at = NULL WHERE id = ?", ids)
    return len(ids)


def any_held(db: apsw.Connection) -> bool:
    return scalar(db, f"{HELD} LIMIT 1") is not None


def faults(db: apsw.Connection) -> Iterator[str]:
    """Where the books of the days are not what the ledger adds up to."""
    books = Books(db)
    for day, account, cell_id, spec_id, spent, reserved in list(db.execute(LEDGER)):
        books.add(day * DAY_S, account, cell_id, spec_id, reserved=reserved, spent=spent)
    real = books.by_budget()
    rows = db.execute("SELECT day, kind, name, spent, reserved FROM spending")
    kept = {(day, Budget(BudgetKind(kind), name)): [spent, reserved] for day, kind, name, spent, reserved in rows}
    for place in sorted(real.keys() | kept.keys()):
        pairs = zip(("spent", "reserved"), kept.get(place, (0, 0)), real.get(place, (0, 0)), strict=True)
        for what, has, should in pairs:
            if abs(has - should) > ROUNDING * max(1.0, abs(should)):
                day, budget = place
                yield f"day {day}, {budget}: ${has:.6f} {what} counted, ${should:.6f} in the ledger"
