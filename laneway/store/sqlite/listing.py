"""Lists of tasks, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import Any

import apsw
import orjson

from laneway.store.paging import NEAR, SORTED, Ids, either, found_below, of_any_kind, of_failures, once, plain_keys
from laneway.store.rows import TASK_LINE, line_of
from laneway.store.sqlite import failing
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.reading import COST_BELOW, Documents
from laneway.store.sqlite.steering import CHOSEN, conditions
from laneway.store.views import NO_KIND, TaskFilter, TaskLine, TaskPage
from laneway.task import State, needs_account

LINES = f"""
    SELECT p.spec_id, {TASK_LINE} FROM task t JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    LEFT JOIN result r ON r.seq = t.result_seq WHERE t.id IN (SELECT value FROM json_each(?)) ORDER BY t.id DESC
"""
_BELOW = "AND id < coalesce(:below, 9223372036854775807) ORDER BY id DESC LIMIT :n"
_SORTED = _BELOW.replace("id", "+id")  # what the index gives is put in order; else the whole table would be walked
_NEAR = f"id < coalesce(:below, 9223372036854775807) ORDER BY id DESC LIMIT {NEAR}"
ANY = f"SELECT id FROM task WHERE true {_BELOW}"
OF_KEYS = f"SELECT id FROM task WHERE key IN (SELECT value FROM json_each(:of)) {_SORTED}"
OF_IDS = f"SELECT id FROM (SELECT value AS id FROM json_each(:of)) WHERE true {_BELOW}"
OF_RUN = f"SELECT id FROM task WHERE run_id = :of AND key IS NOT NULL {_SORTED}"
OF_KIND = f"SELECT id FROM task WHERE state = 'failed' AND failure_id = :of {_BELOW}"
OF_KINDS = f"SELECT id FROM task WHERE state = 'failed' AND failure_id IN (SELECT value FROM json_each(:of)) {_SORTED}"
NEAR_FAILED = f"""
    SELECT id FROM (SELECT id, state, failure_id FROM task WHERE {_NEAR}) AS near
    WHERE state = 'failed' AND failure_id > {NO_KIND} {_BELOW}
"""
OF_ANY_KIND = f"SELECT id FROM task WHERE state = 'failed' AND failure_id > {NO_KIND} {_SORTED}"
OF_NO_KIND = f"SELECT id FROM task WHERE state = 'failed' AND failure_id IS NULL {_BELOW}"
OF_STATE = {
    State.READY: f"""
        SELECT id FROM task WHERE state = 'ready' AND cell_id IN (SELECT id FROM cell WHERE ready > 0) {_SORTED}
    """,
    State.WAITING: f"SELECT id FROM task WHERE state = 'waiting' {_SORTED}",
    State.RUNNING: f"SELECT id FROM task WHERE state = 'running' {_SORTED}",
}
ALL_IN = "SELECT total({}) FROM cell"
IN_RUN = f"SELECT {' + '.join(f'total({state.value})' for state in State)} FROM cell WHERE run_id = ? AND NOT aside"
MERGED = 2000  # kinds of failures that are read side by side
KEYED = "SELECT count(*) FROM task WHERE run_id = ? AND key IS NOT NULL"


def list_tasks(db: apsw.Connection, documents: Documents, s: TaskFilter, cursor: int | None, limit: int) -> TaskPage:
    where, bindings = conditions(s._replace(ids=None))
    sql = f"SELECT t.id {CHOSEN} AND t.id IN (SELECT value FROM json_each(?)) {where}"

    def look(ids: Sequence[int]) -> Iterable[int]:
        return (id_ for (id_,) in db.execute(sql, (_json(ids), *bindings)))

    ids, following = found_below(_ids(db, s), look, cursor, limit)
    return TaskPage(_lines(db, documents, ids), following)


def _lines(db: apsw.Connection, documents: Documents, ids: Sequence[int]) -> list[TaskLine]:
    found: list[Any] = db.execute(LINES, (_json(ids),)).fetchall()
    of_code = [row[1] for row in found if not needs_account(row[8])]
    costs: dict[int, Any] = {row[0]: row[1] for row in db.execute(COST_BELOW, (_json(of_code),))} if of_code else {}
    return [line_of((documents.spec(row[0]).type, *row[1:]), costs.get(row[1])) for row in found]


def _ids(db: apsw.Connection, s: TaskFilter) -> Ids:
    """Where the tasks are found that may be meant: by the index that leaves the fewest to look at."""
    if s.ids is not None:
        return _by(db, OF_IDS, _json(s.ids))
    if plain_keys(s):
        return _by(db, OF_KEYS, orjson.dumps(s.keys).decode())
    if of_failures(s):
        return _failed(db, s)
    if len(s.states) == 1 and s.states[0] in OF_STATE:
        (state,) = s.states
        if scalar(db, ALL_IN.format(state.value)) <= SORTED:
            return _by(db, OF_STATE[state])
    if s.run_id is not None and _all_keyed(db, s.run_id):
        return _by(db, OF_RUN, s.run_id)
    return _by(db, ANY)


def _by(db: apsw.Connection, sql: str, of: Any = None) -> Ids:
    def ids(below: int | None, n: int) -> list[int]:
        return [id_ for (id_,) in db.execute(sql, {"below": below, "n": n, "of": of})]

    return ids if _BELOW in sql else once(ids)


def _failed(db: apsw.Connection, s: TaskFilter) -> Ids:
    if of_any_kind(s):
        parts = [either(_by(db, NEAR_FAILED), _by(db, OF_ANY_KIND))]
    else:
        kinds = failing.kinds(db, s)
        numbers = orjson.loads(kinds)
        parts = [_merged(db, numbers)] if len(numbers) <= MERGED else [_by(db, OF_KINDS, kinds)]
    if failing.any_unnamed(db):
        parts.append(_by(db, OF_NO_KIND))
    return lambda below, n: sorted((id_ for part in parts for id_ in part(below, n)), reverse=True)[:n]


def _merged(db: apsw.Connection, kinds: Sequence[int]) -> Ids:
    """Of each kind as far as is needed."""

    def ids(below: int | None, n: int) -> list[int]:
        found = [db.execute(OF_KIND, {"below": below, "n": n, "of": kind}) for kind in kinds]
        return [id_ for (id_,) in islice(merge(*found, reverse=True), n)]

    return ids


def _all_keyed(db: apsw.Connection, run_id: int) -> bool:
    """Whether the index of keys has all tasks of the run, and not too many to be put in order."""
    tasks = scalar(db, IN_RUN, (run_id,)) or 0
    return tasks <= SORTED and scalar(db, KEYED, (run_id,)) >= tasks


def _json(ids: Sequence[int]) -> str:
    return orjson.dumps(list(ids)).decode()
