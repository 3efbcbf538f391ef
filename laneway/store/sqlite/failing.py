"""Kinds of failures: each failed task names its own, by run, class, code, type, model and lane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import orjson

from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.transaction import Transaction
from laneway.store.steering import Selector
from laneway.store.teams import Everyone
from laneway.store.views import FILLED, LONGEST_CODE, NO_KIND
from laneway.task import Failure

PLACES = """
    SELECT t.id, t.run_id, c.model, c.lane, c.shelf, p.spec_id
    FROM task t JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    WHERE t.id IN (SELECT value FROM json_each(?))
"""
ADD = """
    INSERT INTO failure (run_id, class, code, task_type, model, lane) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
FIND = """
    SELECT id FROM failure WHERE run_id = ? AND class = ? AND code = ? AND task_type = ? AND model = ? AND lane = ?
"""
SAY = "UPDATE task SET failure_id = ? WHERE id = ?"
UNNAMED = "SELECT 1 FROM task WHERE state = 'failed' AND failure_id IS NULL LIMIT 1"
UNNAMED_TASKS = """
    SELECT t.id, r.error ->> '$.class', r.error ->> '$.code' FROM task t LEFT JOIN result r ON r.seq = t.result_seq
    WHERE t.state = 'failed' AND t.failure_id IS NULL LIMIT ?
"""


def name(tx: Transaction, failed: Iterable[tuple[int, Failure | None]]) -> None:
    """Tasks that have failed, and of what."""
    _name(tx, {id_: (failure.cls.value, failure.code) if failure else ("", "") for id_, failure in failed})


def fill(tx: Transaction) -> None:
    """Name the kinds of some that a process of the version before has failed, or that came back to their run."""
    _name(tx, {id_: (cls or "", code or "") for id_, cls, code in tx.db.execute(UNNAMED_TASKS, (FILLED,))})


def any_unnamed(db: apsw.Connection) -> bool:
    return scalar(db, UNNAMED) is not None


def _name(tx: Transaction, said: dict[int, tuple[str, str]]) -> None:
    if not said:
        return
    known: dict[tuple[object, ...], int] = {}
    named: list[tuple[int, int]] = []
    for id_, run_id, model, lane, shelf, spec_id in list(tx.db.execute(PLACES, (orjson.dumps(list(said)).decode(),))):
        cls, code = said[id_]
        kind = (run_id, cls, code[:LONGEST_CODE], tx.books.type_of(spec_id), model, lane)
        if kind not in known and not shelf:
            tx.db.execute(ADD, kind)
            known[kind] = int(scalar(tx.db, FIND, kind))
        named.append((NO_KIND if shelf else known[kind], id_))
    tx.db.executemany(SAY, named)


def kinds(db: apsw.Connection, s: Selector) -> str:
    """The ids of the kinds that such failed tasks are of, as JSON."""
    where, bindings = ["true"], list[Any]()

    def one_of(column: str, values: Sequence[str]) -> None:
        if values:
            where.append(f"{column} IN (SELECT value FROM json_each(?))")
            bindings.append(orjson.dumps(values).decode())

    one_of("class", s.classes)
    one_of("code", [code[:LONGEST_CODE] for code in s.codes])
    one_of("task_type", s.types)
    one_of("model", s.models)
    one_of("lane", s.lanes)
    if s.run_id is not None:
        where.append("run_id = ?")
        bindings.append(s.run_id)
    if not isinstance(s.team, Everyone):
        where.append("run_id IN (SELECT id FROM run WHERE info ->> '$.team' IS ?)")
        bindings.append(s.team)
    found = db.execute(f"SELECT id FROM failure WHERE {' AND '.join(where)}", bindings)
    return orjson.dumps([id_ for (id_,) in found]).decode()
