"""Steering: pauses, choosing tasks, and what is set by hand about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import apsw
import orjson

from laneway.store.paging import by_kind_alone
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.failing import any_unnamed, kinds
from laneway.store.sqlite.places import Places
from laneway.store.sqlite.transaction import Transaction
from laneway.store.steering import (
    Change,
    Extent,
    Pause,
    PauseKind,
    Selector,
    Waiting,
    by_hand,
    extent_of,
    is_glob,
    moved,
)
from laneway.store.teams import Everyone
from laneway.task import Route, State, WaitReason

PAUSE = """
    INSERT INTO pause (kind, name, since) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET since = ?3 WHERE since IS NULL
"""
RESUME = """
    INSERT INTO pause (kind, name, since, resumes) VALUES (?1, ?2, NULL, 1)
    ON CONFLICT DO UPDATE SET since = NULL, resumes = resumes + 1
"""
FORGIVE = """
    UPDATE state SET content = json_set(content, '$.paused', NULL)
    WHERE name = ? AND content ->> '$.paused' IS NOT NULL
"""
CHOSEN = """
    FROM task t JOIN cell c ON c.id = t.cell_id LEFT JOIN payload p ON p.task_id = t.id
    LEFT JOIN result r ON r.seq = t.result_seq
    WHERE c.shelf = 0
"""
BY_INDEX = " FROM task t WHERE true"
OF_KINDS = " AND t.state = 'failed' AND t.failure_id IN (SELECT value FROM json_each(?))"
OF_NO_KIND = " AND t.state = 'failed' AND t.failure_id IS NULL"
EXTENT_OF_KINDS = f"""
    WITH n AS (SELECT count(*) AS tasks, max(id) AS newest {BY_INDEX}{OF_KINDS} GROUP BY failure_id)
    SELECT 'failed', CAST(d.content AS TEXT) ->> '$.wire', n.tasks, 0
    FROM n JOIN payload p ON p.task_id = n.newest JOIN document d ON d.id = p.spec_id
"""
ADJUSTED = """
    SELECT t.id, t.run_id, t.cell_id, t.state, c.model, c.lane, c.urgency, p.route_id, p.submitted_at, p.deadline,
           t.due_at, t.attempts
    FROM task t JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    WHERE t.id IN (SELECT value FROM json_each(?)) AND c.shelf = 0
          AND t.state IN ('triaging', 'ready', 'running', 'waiting')
"""
WAITING = """
    SELECT t.wait_reason, count(*), min(t.wake_at) FROM task t JOIN cell c ON c.id = t.cell_id
    WHERE t.state = 'waiting' AND (c.shelf = 0 OR c.aside AND ?2) AND (?1 IS NULL OR t.run_id = ?1)
    GROUP BY 1 ORDER BY 1
"""
_OF_TYPES = """
    p.spec_id IN (SELECT id FROM document WHERE CAST(content AS TEXT) ->> '$.type' IN (SELECT value FROM json_each(?)))
"""
_ANY_TAG = """
    EXISTS (SELECT 1 FROM json_each(p.tags) WHERE value IN (SELECT value FROM json_each(?)))
"""


# pauses ---------------------------------------------------------------------------------------------------------------
def pause(tx: Transaction, kind: PauseKind, name: str, now: float) -> bool:
    tx.db.execute(PAUSE, (kind.value, name, now))
    return tx.db.changes() > 0


def resume(tx: Transaction, kind: PauseKind, name: str) -> bool:
    held = scalar(tx.db, "SELECT since FROM pause WHERE kind = ? AND name = ?", (kind.value, name)) is not None
    tx.db.execute(RESUME, (kind.value, name))
    if kind is PauseKind.ACCOUNT:
        tx.db.execute(FORGIVE, (f"account:{name}",))
        held = held or tx.db.changes() > 0
    return held


def pauses(db: apsw.Connection) -> list[Pause]:
    rows = db.execute("SELECT kind, name, since, resumes FROM pause")
    return [Pause(PauseKind(kind), name, since, resumes) for kind, name, since, resumes in rows]


# choosing -------------------------------------------------------------------------------------------------------------
def select(db: apsw.Connection, selector: Selector) -> list[int]:
    found = (db.execute(f"SELECT t.id {where}", bindings) for where, bindings in sources(db, selector))
    return sorted(id_ for rows in found for (id_,) in rows)


def extent(db: apsw.Connection, selector: Selector) -> Extent:
    sql = (
        "SELECT t.state, (SELECT CAST(content AS TEXT) ->> '$.wire' FROM document WHERE id = p.spec_id), count(*),"
        " max(t.input_tokens + t.output_tokens) {} GROUP BY 1, p.spec_id"
    )
    if by_kind_alone(selector) and not any_unnamed(db):
        return extent_of(db.execute(EXTENT_OF_KINDS, (kinds(db, selector),)))
    found = (db.execute(sql.format(where), bindings) for where, bindings in sources(db, selector))
    return extent_of(row for rows in found for row in rows)


def sources(db: apsw.Connection, s: Selector) -> list[tuple[str, list[Any]]]:
    """The selector as SQL from FROM on, with its bindings: in up to three parts, none of which has a task of another.
    Failed tasks are found by the kinds of their failures."""
    if State.FAILED not in s.states or s.ids is not None:
        where, bindings = conditions(s)
        return [(CHOSEN + where, bindings)]
    found: list[tuple[str, list[Any]]] = []
    if others := tuple(state for state in s.states if state is not State.FAILED):
        found += sources(db, s._replace(states=others))
    if by_kind_alone(s):
        found.append((BY_INDEX + OF_KINDS, [kinds(db, s)]))
    else:
        rest, bindings = conditions(s._replace(states=(), classes=(), codes=()))
        found.append((CHOSEN + OF_KINDS + rest, [kinds(db, s), *bindings]))
    if any_unnamed(db):
        rest, bindings = conditions(s._replace(states=()))
        found.append((CHOSEN + OF_NO_KIND + rest, bindings))
    return found


def conditions(s: Selector) -> tuple[str, list[Any]]:
    """The selector as SQL behind ``CHOSEN``; every value is bound."""
    where: list[str] = []
    bindings: list[Any] = []

    def among(condition: str, values: Collection[Any]) -> None:
        where.append(condition)
        bindings.append(orjson.dumps(list(values)).decode())

    def one_of(column: str, values: Collection[Any]) -> None:
        if values:
            among(f"{column} IN (SELECT value FROM json_each(?))", values)

    if s.ids is not None:
        among("t.id IN (SELECT value FROM json_each(?))", s.ids)
    if s.run_id is not None:
        where.append("t.run_id = ?")
        bindings.append(s.run_id)
    one_of("t.state", [state.value for state in s.states])
    one_of("r.error ->> '$.class'", s.classes)
    one_of("r.error ->> '$.code'", s.codes)
    one_of("c.model", s.models)
    one_of("c.lane", s.lanes)
    one_of("c.urgency", [int(urgency) for urgency in s.urgencies])
    if not isinstance(s.team, Everyone):
        where.append("c.run_id IN (SELECT id FROM run WHERE info ->> '$.team' IS ?)")
        bindings.append(s.team)
    if s.types:
        among(_OF_TYPES, s.types)
    if s.tags:
        among(_ANY_TAG, s.tags)
    if s.keys:
        where.append("(" + " OR ".join("t.key GLOB ?" if is_glob(key) else "t.key = ?" for key in s.keys) + ")")
        bindings.extend(s.keys)
    return "".join(f" AND {condition}" for condition in where), bindings


def waiting(db: apsw.Connection, run_id: int | None, *, aside: bool) -> list[Waiting]:
    rows = db.execute(WAITING, (run_id, aside))
    return [Waiting(WaitReason(reason or "retry"), n, next_at) for reason, n, next_at in rows]


# setting by hand ------------------------------------------------------------------------------------------------------
def adjust(tx: Transaction, task_ids: Sequence[int], change: Change) -> int:
    """Move what has not ended to where somebody wants it."""
    routes = _Routes(tx.db, change)
    places: dict[int, Places] = {}
    tasks: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    for row in list(tx.db.execute(ADJUSTED, (orjson.dumps(list(task_ids)).decode(),))):
        id_, run_id, cell, state, model, lane, urgency, route_id, *times, attempts = row
        state = State(state)
        route, new_route_id = routes.changed(route_id)
        to = moved(route, change, state, (model, lane, urgency), (times[0], times[1], times[2]), attempts)
        if run_id not in places:
            places[run_id] = Places(tx.db, run_id)
        home = places[run_id].cell(to.route)
        tasks.append((home, to.due_at, to.attempts, to.next_model, id_))
        payloads.append((new_route_id, to.deadline, id_))
        if home != cell:
            tx.count(cell, state, -1)
        tx.count(home, state, int(home != cell))  # it may stand in another place there: the cell's head is read again
    tx.db.executemany(
        "UPDATE task SET cell_id = ?, due_at = ?, attempts = ?, next_model = coalesce(?, next_model) WHERE id = ?",
        tasks,
    )
    tx.db.executemany("UPDATE payload SET route_id = ?, deadline = ? WHERE task_id = ?", payloads)
    return len(tasks)


class _Routes:
    """Each stored route as it is after the change, made once."""

    def __init__(self, db: apsw.Connection, change: Change) -> None:
        self._db = db
        self._change = change
        self._made: dict[int, tuple[Route, int]] = {}
        self._documents = Places(db, 0)

    def changed(self, route_id: int) -> tuple[Route, int]:
        if route_id not in self._made:
            content = scalar(self._db, "SELECT content FROM document WHERE id = ?", (route_id,))
            route = by_hand(Route.from_json(orjson.loads(content)), self._change)
            self._made[route_id] = (route, self._documents.document(route))
        return self._made[route_id]
