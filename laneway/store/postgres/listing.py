"""Lists of tasks, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from laneway.store.paging import NEAR, SORTED, Ids, either, found_below, of_any_kind, of_failures, once, plain_keys
from laneway.store.postgres import failing
from laneway.store.postgres.connection import Db, by_index, rows, scalar
from laneway.store.postgres.reading import COST_BELOW
from laneway.store.postgres.steering import CHOSEN, conditions
from laneway.store.rows import TASK_LINE, line_of
from laneway.store.views import NO_KIND, TaskFilter, TaskLine, TaskPage
from laneway.task import State, needs_account

LINES = f"""
    SELECT d.type, {TASK_LINE} FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id
    JOIN laneway.payload p ON p.task_id = t.id JOIN laneway.document d ON d.id = p.spec_id
    LEFT JOIN laneway.result r ON r.seq = t.result_seq WHERE t.id = ANY(%s) ORDER BY t.id DESC
"""
_BELOW = "AND id < %(below)s ORDER BY id DESC LIMIT %(n)s"
_NEAR = f"id < %(below)s ORDER BY id DESC LIMIT {NEAR}"
# What the index gives is put in order; else the whole table might be walked.
_SORTED = "AND id + 0 < %(below)s ORDER BY id + 0 DESC LIMIT %(n)s"
ANY = f"SELECT id FROM laneway.task WHERE true {_BELOW}"
OF_KEYS = f"SELECT id FROM laneway.task WHERE key = ANY(%(of)s::text[]) {_SORTED}"
OF_IDS = f"SELECT id FROM unnest(%(of)s::bigint[]) AS id WHERE true {_SORTED}"
OF_RUN = f"SELECT id FROM laneway.task WHERE run_id = %(of)s AND key IS NOT NULL {_SORTED}"
OF_KINDS = f"SELECT id FROM laneway.task WHERE state = 'failed' AND failure_id = ANY(%(of)s) {_SORTED}"
NEAR_FAILED = f"""
    SELECT id FROM (SELECT id, state, failure_id FROM laneway.task WHERE {_NEAR}) AS near
    WHERE state = 'failed' AND failure_id > {NO_KIND} {_BELOW}
"""
OF_ANY_KIND = f"SELECT id FROM laneway.task WHERE state = 'failed' AND failure_id > {NO_KIND} {_SORTED}"
OF_EACH_KIND = f"""
    SELECT one.id FROM unnest(%(of)s::bigint[]) AS kind
    CROSS JOIN LATERAL (SELECT id FROM laneway.task WHERE state = 'failed' AND failure_id = kind {_BELOW}) one
    ORDER BY 1 DESC LIMIT %(n)s
"""
OF_NO_KIND = f"SELECT id FROM laneway.task WHERE state = 'failed' AND failure_id IS NULL {_BELOW}"
OF_STATE = {
    state: f"SELECT id FROM laneway.task WHERE state = '{state.value}' {_SORTED}"
    for state in (State.TRIAGING, State.READY, State.WAITING, State.RUNNING)
}
ALL_IN = "SELECT sum({}) FROM laneway.cell_count"
IN_RUN = f"""
    SELECT {" + ".join(f"sum(n.{state.value})" for state in State)}
    FROM laneway.cell c JOIN laneway.cell_count n ON n.cell_id = c.id WHERE c.run_id = %s AND NOT c.aside
"""
MERGED = 100  # kinds of failures of which each is read as far as a page may need
KEYED = "SELECT count(*) FROM laneway.task WHERE run_id = %s AND key IS NOT NULL"
TOP = 2**63 - 1


def list_tasks(db: Db, s: TaskFilter, cursor: int | None, limit: int) -> TaskPage:
    where, bindings = conditions(s._replace(ids=None))
    sql = f"SELECT t.id {CHOSEN} AND t.id = ANY(%s::bigint[]) {where}"

    def look(ids: Sequence[int]) -> Iterable[int]:
        with by_index(db):
            return [id_ for (id_,) in rows(db, sql, (list(ids), *bindings))]

    ids, following = found_below(_ids(db, s), look, cursor, limit)
    with by_index(db):
        return TaskPage(_lines(db, ids), following)


def _lines(db: Db, ids: Sequence[int]) -> list[TaskLine]:
    found = rows(db, LINES, (list(ids),))
    of_code = [row[1] for row in found if not needs_account(row[8])]
    costs: dict[int, float | None] = dict(rows(db, COST_BELOW, (of_code,))) if of_code else {}
    return [line_of(row, costs.get(row[1])) for row in found]


def _ids(db: Db, s: TaskFilter) -> Ids:
    """Where the tasks are found that may be meant: by the index that leaves the fewest to look at."""
    if s.ids is not None:
        return _by(db, OF_IDS, list(s.ids))
    if plain_keys(s):
        return _by(db, OF_KEYS, list(s.keys))
    if of_failures(s):
        return _failed(db, s)
    if len(s.states) == 1 and s.states[0] in OF_STATE:
        (state,) = s.states
        if (scalar(db, ALL_IN.format(state.value)) or 0) <= SORTED:
            return _by(db, OF_STATE[state])
    if s.run_id is not None and _all_keyed(db, s.run_id):
        return _by(db, OF_RUN, s.run_id)
    return _by(db, ANY)


def _by(db: Db, sql: str, of: Any = None) -> Ids:
    def ids(below: int | None, n: int) -> list[int]:
        bindings = {"below": TOP if below is None else below, "n": n, "of": of}
        with by_index(db) if _BELOW in sql else nullcontext():
            return [id_ for (id_,) in rows(db, sql, bindings)]

    return ids if _BELOW in sql else once(ids)


def _failed(db: Db, s: TaskFilter) -> Ids:
    if of_any_kind(s):
        parts = [either(_by(db, NEAR_FAILED), _by(db, OF_ANY_KIND))]
    else:
        kinds = failing.kinds(db, s)
        parts = [_by(db, OF_EACH_KIND if len(kinds) <= MERGED else OF_KINDS, kinds)]
    if failing.any_unnamed(db):
        parts.append(_by(db, OF_NO_KIND))
    return lambda below, n: sorted((id_ for part in parts for id_ in part(below, n)), reverse=True)[:n]


def _all_keyed(db: Db, run_id: int) -> bool:
    """Whether the index of keys has all tasks of the run, and not too many to be put in order."""
    tasks = scalar(db, IN_RUN, (run_id,)) or 0
    return tasks <= SORTED and scalar(db, KEYED, (run_id,)) >= tasks
