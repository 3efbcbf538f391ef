"""Transactions: what operations write through, and how they get through races, restarts and outages."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, cast

import psycopg
from psycopg.pq import TransactionStatus

from laneway.store.news import News
from laneway.store.postgres.connection import RACES, Db, connect, run, scalar, store_error
from laneway.store.postgres.outage import Outage
from laneway.store.postgres.spending import Books
from laneway.task import State

SHARDS = 16  # rows that the counters of one thing are spread over
SEQ_BITS = 20  # tasks that may end in one transaction: 2^20
MOST_RACES = 20
STATES = tuple(state.value for state in State)
COUNT = f"""
    INSERT INTO laneway.cell_count AS c (cell_id, shard, {", ".join(STATES)}, changed)
    SELECT cell_id, %s, {", ".join(STATES)}, changed
    FROM unnest(%s::bigint[], {", ".join("%s::bigint[]" for _ in STATES)}, %s::bigint[])
         AS new (cell_id, {", ".join(STATES)}, changed)
    ORDER BY cell_id
    ON CONFLICT (cell_id, shard) DO UPDATE SET
        {", ".join(f"{state} = c.{state} + excluded.{state}" for state in STATES)},
        changed = greatest(c.changed, excluded.changed)
"""
SPEND = """
    INSERT INTO laneway.run_cost AS c (run_id, shard, spent, reserved)
    SELECT run_id, %s, spent, reserved
    FROM unnest(%s::bigint[], %s::float8[], %s::float8[]) AS new (run_id, spent, reserved) ORDER BY run_id
    ON CONFLICT (run_id, shard) DO UPDATE SET
        spent = c.spent + excluded.spent, reserved = c.reserved + excluded.reserved
"""
# Whatever is joined here is a few rows, found by an index. The planner does not know it of tables that have grown since
# they were looked at, and would read them whole.
# Each transaction also commits its own name: who gets no answer to a commit finds out by it.
BEGIN = """
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
    INSERT INTO laneway.last_commit VALUES ({name}, {begun})
    ON CONFLICT (name) DO UPDATE SET begun = excluded.begun, at = now()
    RETURNING pg_current_xact_id()::text
"""
# Below this number the order of results is complete: no transaction that is still open can add to it.
HORIZON = f"pg_snapshot_xmin(pg_current_snapshot())::text::bigint << {SEQ_BITS}"
LAST = "SELECT begun FROM laneway.last_commit WHERE name = %s"
END_FORMER = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_xid::text = %s AND application_name = 'laneway' AND pid <> pg_backend_pid()
"""
FORGET = """
    BEGIN; SET LOCAL synchronous_commit = off;
    DELETE FROM laneway.last_commit WHERE name = {name} OR at < now() - interval '1 day'; COMMIT
"""

log = logging.getLogger(__name__)


class Transaction:
    """What an operation writes through: the connection, and sums that are flushed once a commit."""

    def __init__(self, db: Db, number: int, shard: int) -> None:
        self.db = db
        self.number = number  # of the transaction, in the whole server
        self.shard = shard
        self.books = Books(db, shard)
        self.news: set[News] = set()  # what others may be waiting for
        self._moves: Counter[tuple[int, State]] = Counter()
        self._costs: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._ended = 0

    def count(self, cell_id: int, state: State, n: int) -> None:
        """``n`` more tasks of the cell are in ``state`` (negative: fewer)."""
        self._moves[cell_id, state] += n

    def move(self, cell_id: int, old: State, new: State, n: int = 1) -> None:
        self._moves[cell_id, old] -= n
        self._moves[cell_id, new] += n

    def spend(self, run_id: int, *, spent: float = 0.0, reserved: float = 0.0) -> None:
        """USD that the run has spent or holds reserved, more (negative: less) than before."""
        if spent or reserved:
            sums = self._costs[run_id]
            sums[0] += spent
            sums[1] += reserved

    def next_seq(self) -> int:
        """The next number in the order of results."""
        return self.next_seqs(1)

    def next_seqs(self, n: int) -> int:
        """The first of the next ``n`` numbers; not all of them need be used."""
        self._ended += n
        self.news.add(News.RESULTS)
        return (self.number << SEQ_BITS) + self._ended - n

    def flush(self) -> None:
        """Write the sums. Called before the commit, and by operations that read them."""
        cells: dict[int, dict[str, int]] = {}
        for (cell_id, state), n in self._moves.items():
            if n or state is State.READY:  # others may be ready now: who keeps the cell's head has to read it again
                cells.setdefault(cell_id, {})[state.value] = n
                if state is State.READY and n >= 0:
                    self.news.add(News.WORK)
        self._moves.clear()
        if cells:
            counts = [[of.get(state, 0) for of in cells.values()] for state in STATES]
            changed = [self.number if State.READY.value in of else 0 for of in cells.values()]
            run(self.db, COUNT, (self.shard, list(cells), *counts, changed))
        if self._costs:
            spent, reserved = zip(*self._costs.values(), strict=True)
            run(self.db, SPEND, (self.shard, list(self._costs), list(spent), list(reserved)))
            self._costs.clear()
        self.books.flush()


class Transactions:
    """Runs operations on a connection of its own. Races are run again; while the server is away it waits for it."""

    def __init__(
        self,
        url: str,
        spare: list[Db],
        patience_s: float,
        announce: Callable[[Iterable[News]], None],
        undone: Callable[[], None] = lambda: None,
    ) -> None:
        """``spare``: connections that are there already; whoever needs one first has it. ``patience_s``: how long an
        outage may last before the operations fail. ``announce``: is told what others may be waiting for. ``undone``: is
        called when something that operations have read may have been taken back."""
        self._url = url
        self._spare = spare
        self._db: Db | None = None
        self._patience_s = patience_s
        self._announce = announce
        self._undone = undone
        self._number: int | None = None  # of the transaction that was begun last
        self._name = secrets.randbits(62)
        self._begun = 0
        self._shard = random.randrange(SHARDS)

    def run_all(self, operations: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
        """In one transaction; their results, after its commit."""
        doubt: tuple[Transaction, list[Any]] | None = None  # a commit that no answer came to, and its results
        races, outage = 0, Outage(self._url, self._patience_s)
        while True:
            try:
                if self._db is None or self._db.closed:
                    self._db = self._connect()
                    self._end_former(self._db)
                if doubt is not None and self._was_committed(self._db, doubt[0]):
                    outage.over()
                    self._announce(News)
                    return doubt[1]
                doubt = None
                self._number = self._begin(self._db)
                tx = Transaction(self._db, self._number, self._shard)
                results = [operation(tx) for operation in operations]
                with self._db.pipeline():  # the sums and the commit in one round trip
                    tx.flush()
                    doubt = (tx, results)
                    self._db.execute("COMMIT")
                outage.over()
                if tx.news:
                    self._announce(tx.news)
                return results
            except RACES as error:
                doubt = None
                races += 1
                self._roll_back()
                if races >= MOST_RACES:
                    raise store_error(self._url, error) from error
                self._shard = random.randrange(SHARDS)
                time.sleep(random.uniform(0, 0.002 * 2 ** min(races, 6)))
            except psycopg.Error as error:
                self._roll_back()
                outage.wait(error)
            except BaseException:
                self._roll_back()
                raise

    def close(self) -> None:
        if self._db is not None:
            with suppress(psycopg.Error):
                if self._begun:
                    self._db.execute(FORGET.format(name=self._name))
            self._drop()

    def _begin(self, db: Db) -> int:
        """Begin a transaction; its number in the whole server."""
        self._begun += 1
        cursor = db.execute(BEGIN.format(name=self._name, begun=self._begun))
        while cursor.nextset():
            pass
        (number,) = cast(tuple[str], cursor.fetchone())
        return int(number)

    def _was_committed(self, db: Db, tx: Transaction) -> bool:
        """What became of our last transaction, whose connection broke while it was committed. Its number alone does
        not tell: a server that crashed, or another that took over, gives numbers that it has not heard of again."""
        while True:
            try:
                status = scalar(db, "SELECT pg_xact_status(%s::text::xid8)", (str(tx.number),))
            except psycopg.errors.InvalidParameterValue:
                return False  # no such number yet
            if status != "in progress":
                return bool(scalar(db, LAST, (self._name,)) == self._begun)
            time.sleep(0.05)

    def _connect(self) -> Db:
        try:
            return self._spare.pop()
        except IndexError:
            return connect(self._url)

    def _end_former(self, db: Db) -> None:
        """A server may not know for hours that a connection is gone, and keeps what its transaction has locked."""
        if self._number is not None:
            run(db, END_FORMER, (str(self._number % 2**32),))

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _roll_back(self) -> None:
        """What is left of a connection after a fault: none, or one without a transaction."""
        self._undone()
        if self._db is None:
            return
        try:
            if self._db.info.transaction_status is not TransactionStatus.IDLE:
                self._db.execute("ROLLBACK")
        except psycopg.Error:
            self._drop()
