"""Steering: pauses, choosing tasks, and what is set by hand about them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import orjson

from laneway.store.news import News
from laneway.store.paging import by_kind_alone
from laneway.store.postgres.connection import Db, rows, run, scalar
from laneway.store.postgres.failing import any_unnamed, kinds
from laneway.store.postgres.places import Places
from laneway.store.postgres.transaction import Transaction
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
    INSERT INTO laneway.pause AS p (kind, name, since) VALUES (%s, %s, %s)
    ON CONFLICT (kind, name) DO UPDATE SET since = excluded.since WHERE p.since IS NULL
"""
RESUME = """
    INSERT INTO laneway.pause AS p (kind, name, since, resumes) VALUES (%s, %s, NULL, 1)
    ON CONFLICT (kind, name) DO UPDATE SET since = NULL, resumes = p.resumes + 1
"""
FORGIVE = """
    UPDATE laneway.state SET content = jsonb_set(content, '{paused}', 'null')
    WHERE name = %s AND content ->> 'paused' IS NOT NULL
"""
CHOSEN = """
    FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id LEFT JOIN laneway.payload p ON p.task_id = t.id
    LEFT JOIN laneway.document d ON d.id = p.spec_id LEFT JOIN laneway.result r ON r.seq = t.result_seq
    WHERE NOT c.shelf
"""
BY_INDEX = " FROM laneway.task t WHERE true"
OF_KINDS = " AND t.state = 'failed' AND t.failure_id = ANY(%s::bigint[])"
OF_NO_KIND = " AND t.state = 'failed' AND t.failure_id IS NULL"
EXTENT_OF_KINDS = f"""
    WITH n AS (SELECT count(*) AS tasks, max(id) AS newest {BY_INDEX}{OF_KINDS} GROUP BY failure_id)
    SELECT 'failed', d.wire, n.tasks, 0 FROM n JOIN laneway.payload p ON p.task_id = n.newest
    JOIN laneway.document d ON d.id = p.spec_id
"""
ADJUSTED = """
    SELECT t.id, t.run_id, t.cell_id, t.state, c.model, c.lane, c.urgency, p.route_id, p.submitted_at, p.deadline,
           t.due_at, t.attempts
    FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id JOIN laneway.payload p ON p.task_id = t.id
    WHERE t.id = ANY(%s) AND NOT c.shelf AND t.state IN ('triaging', 'ready', 'running', 'waiting')
    ORDER BY t.id FOR UPDATE OF t
"""
MOVE = """
    UPDATE laneway.task t SET cell_id = m.cell_id, due_at = m.due_at, attempts = m.attempts,
        next_model = coalesce(m.next_model, t.next_model)
    FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::integer[], %s::text[])
         AS m (id, cell_id, due_at, attempts, next_model)
    WHERE t.id = m.id
"""
SAY = """
    UPDATE laneway.payload p SET route_id = m.route_id, deadline = m.deadline
    FROM unnest(%s::bigint[], %s::bigint[], %s::float8[]) AS m (id, route_id, deadline) WHERE p.task_id = m.id
"""
WAITING = """
    SELECT t.wait_reason, count(*), min(t.wake_at) FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id
    WHERE t.state = 'waiting' AND (NOT c.shelf OR c.aside AND %(aside)s)
          AND (%(run)s::bigint IS NULL OR t.run_id = %(run)s)
    GROUP BY 1 ORDER BY 1
"""


# pauses ---------------------------------------------------------------------------------------------------------------
def pause(tx: Transaction, kind: PauseKind, name: str, now: float) -> bool:
    return run(tx.db, PAUSE, (kind.value, name, now)).rowcount > 0


def resume(tx: Transaction, kind: PauseKind, name: str) -> bool:
    since = "SELECT since FROM laneway.pause WHERE kind = %s AND name = %s FOR UPDATE"
    held = scalar(tx.db, since, (kind.value, name)) is not None
    run(tx.db, RESUME, (kind.value, name))
    if kind is PauseKind.ACCOUNT:
        forgiven = run(tx.db, FORGIVE, (f"account:{name}",)).rowcount > 0
        held = held or forgiven
    tx.news.add(News.WORK)
    return held


def pauses(db: Db) -> list[Pause]:
    found = rows(db, "SELECT kind, name, since, resumes FROM laneway.pause ORDER BY kind, name")
    return [Pause(PauseKind(kind), name, since, resumes) for kind, name, since, resumes in found]


# choosing -------------------------------------------------------------------------------------------------------------
def select(db: Db, selector: Selector) -> list[int]:
    found = (rows(db, f"SELECT t.id {where}", bindings) for where, bindings in sources(db, selector))
    return sorted(id_ for part in found for (id_,) in part)


def extent(db: Db, selector: Selector) -> Extent:
    sql = "SELECT t.state, d.wire, count(*), max(t.input_tokens + t.output_tokens) {} GROUP BY 1, 2"
    if by_kind_alone(selector) and not any_unnamed(db):
        return extent_of(rows(db, EXTENT_OF_KINDS, (kinds(db, selector),)))
    found = (rows(db, sql.format(where), bindings) for where, bindings in sources(db, selector))
    return extent_of(row for part in found for row in part)


def sources(db: Db, s: Selector) -> list[tuple[str, list[Any]]]:
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
        bindings.append(list(values))

    def one_of(column: str, values: Collection[Any]) -> None:
        if values:
            among(f"{column} = ANY(%s)", values)

    if s.ids is not None:
        among("t.id = ANY(%s::bigint[])", s.ids)
    if s.run_id is not None:
        where.append("t.run_id = %s")
        bindings.append(s.run_id)
    one_of("t.state", [state.value for state in s.states])
    one_of("r.error ->> 'class'", s.classes)
    one_of("r.error ->> 'code'", s.codes)
    one_of("c.model", s.models)
    one_of("c.lane", s.lanes)
    one_of("c.urgency", [int(urgency) for urgency in s.urgencies])
    one_of("d.type", s.types)
    if not isinstance(s.team, Everyone):
        where.append("c.run_id IN (SELECT id FROM laneway.run WHERE info ->> 'team' IS NOT DISTINCT FROM %s::text)")
        bindings.append(s.team)
    if s.tags:
        among("p.tags ?| %s::text[]", s.tags)
    if s.keys:
        where.append("(" + " OR ".join("t.key ~ %s" if is_glob(key) else "t.key = %s" for key in s.keys) + ")")
        bindings.extend(_as_regex(key) if is_glob(key) else key for key in s.keys)
    return "".join(f" AND {condition}" for condition in where), bindings


def _as_regex(glob: str) -> str:
    """A pattern as in file names as one of PostgreSQL's."""
    parts = re.split(r"(\*|\?|\[[^\]]+\])", glob)
    said = {"*": ".*", "?": "."}
    return "^" + "".join(said.get(part) or (part if part[:1] == "[" else re.escape(part)) for part in parts) + "$"


def waiting(db: Db, run_id: int | None, *, aside: bool) -> list[Waiting]:
    found = rows(db, WAITING, {"run": run_id, "aside": aside})
    return [Waiting(WaitReason(reason or "retry"), n, next_at) for reason, n, next_at in found]


# setting by hand ------------------------------------------------------------------------------------------------------
def adjust(tx: Transaction, task_ids: Sequence[int], change: Change) -> int:
    """Move what has not ended to where somebody wants it."""
    routes = _Routes(tx, change)
    places: dict[int, Places] = {}
    tasks: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    for row in rows(tx.db, ADJUSTED, (list(task_ids),)):
        id_, run_id, cell, state, model, lane, urgency, route_id, *times, attempts = row
        state = State(state)
        route, new_route_id = routes.changed(route_id)
        to = moved(route, change, state, (model, lane, urgency), (times[0], times[1], times[2]), attempts)
        if run_id not in places:
            places[run_id] = Places(tx.db, run_id)
        home = places[run_id].cell(to.route)
        tasks.append((id_, home, to.due_at, to.attempts, to.next_model))
        payloads.append((id_, new_route_id, to.deadline))
        if home != cell:
            tx.count(cell, state, -1)
        tx.count(home, state, int(home != cell))  # it may stand in another place there: the cell's head is read again
    if tasks:
        run(tx.db, MOVE, [list(column) for column in zip(*tasks, strict=True)])
        run(tx.db, SAY, [list(column) for column in zip(*payloads, strict=True)])
    return len(tasks)


class _Routes:
    """Each stored route as it is after the change, made once."""

    def __init__(self, tx: Transaction, change: Change) -> None:
        self._db = tx.db
        self._change = change
        self._made: dict[int, tuple[Route, int]] = {}
        self._documents = Places(tx.db, 0)

    def changed(self, route_id: int) -> tuple[Route, int]:
        if route_id not in self._made:
            content = scalar(self._db, "SELECT content FROM laneway.document WHERE id = %s", (route_id,))
            route = by_hand(Route.from_json(orjson.loads(content)), self._change)
            self._made[route_id] = (route, self._documents.document(route))
        return self._made[route_id]
