"""Transactions: what operations write through, and the turn between processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from laneway.store.sqlite.connection import scalar, sqlite_errors
from laneway.store.sqlite.locks import FileLock
from laneway.store.sqlite.spending import Books
from laneway.task import State


class Transaction:
    """What an operation writes through: the connection, and counters that are flushed once a commit."""

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db
        self._moves: Counter[tuple[int, State]] = Counter()
        self._seq: int | None = None
        self.books = Books(db)

    def count(self, cell_id: int, state: State, n: int) -> None:
        """``n`` more tasks of the cell are in ``state`` (negative: fewer)."""
        self._moves[cell_id, state] += n

    def move(self, cell_id: int, old: State, new: State, n: int = 1) -> None:
        self._moves[cell_id, old] -= n
        self._moves[cell_id, new] += n

    def next_seq(self) -> int:
        """The next number in the order of results."""
        if self._seq is None:
            self._seq = int(scalar(self.db, "SELECT value FROM sequence WHERE name = 'result'"))
        self._seq += 1
        return self._seq

    def last_seq(self) -> int:
        if self._seq is not None:
            return self._seq
        return int(scalar(self.db, "SELECT value FROM sequence WHERE name = 'result'"))

    def flush(self) -> None:
        """Write the counters. Called before the commit, and by operations that read them."""
        by_cell: dict[int, list[tuple[State, int]]] = {}
        for (cell_id, state), n in self._moves.items():
            if n or state is State.READY:  # others may be ready now: who keeps the cell's head has to read it again
                by_cell.setdefault(cell_id, []).append((state, n))
        for cell_id, changes in sorted(by_cell.items()):
            assignments = ", ".join(f"{state.value} = {state.value} + ?" for state, _ in changes)
            self.db.execute(f"UPDATE cell SET {assignments} WHERE id = ?", (*(n for _, n in changes), cell_id))
        self._moves.clear()
        if self._seq is not None:
            self.db.execute("UPDATE sequence SET value = ? WHERE name = 'result'", (self._seq,))
        self.books.flush()


class Transactions:
    """Runs operations on a connection, one transaction at a time in all processes."""

    def __init__(self, db: apsw.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._turn = FileLock(path.with_name(path.name + "-turn"))

    def run_all(self, operations: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
        """In one transaction; their results, after its commit."""
        with sqlite_errors(self._path), self._transaction() as tx:
            return [operation(tx) for operation in operations]

    def close(self) -> None:
        """Also in a forked child: else the parent's turn would be held after its death."""
        self._turn.close()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._turn.held():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                tx = Transaction(self._db)
                yield tx
                tx.flush()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
