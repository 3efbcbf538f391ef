"""Reading for people and results files: tasks, the ledger, a run's figures, and the store's own check."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import apsw
import orjson

from laneway.errors import NotFoundError
from laneway.store.cells import Backlog, CellTally
from laneway.store.figures import FailureGroup, GroupFigures, RunFigures
from laneway.store.results import Result
from laneway.store.rows import ATTEMPT, RESULT, TASK, attempt_of, grouped, result_of, task_of, with_costs
from laneway.store.runs import Run
from laneway.store.sqlite import spending
from laneway.store.sqlite.connection import scalar
from laneway.store.workers import Doing, Part, WorkerInfo
from laneway.task import Attempt, FailureClass, Outcome, Route, Spec, State, Task, Urgency

_TASK = f"""
    SELECT {TASK} FROM task t JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    LEFT JOIN result r ON r.seq = t.result_seq
"""
_RESULTS = f"""
    SELECT {RESULT}
    FROM result r JOIN task t ON t.result_seq = r.seq AND t.id = r.task_id JOIN cell c ON c.id = t.cell_id
    JOIN payload p ON p.task_id = t.id
    WHERE r.seq > max(?1, (SELECT first_seq FROM run WHERE id = ?2)) AND t.run_id = ?2 AND c.shelf = 0
"""
_FAILED = " AND t.state IN ('failed', 'cancelled')"
_TALLY = """
    SELECT id, run_id, model, lane, urgency, triaging, ready, running, waiting, succeeded, failed, cancelled
    FROM cell WHERE (shelf = 0 OR aside AND ?2) AND (?1 IS NULL OR run_id = ?1)
"""
_BACKLOG = """
    SELECT coalesce(sum(triaging + ready + running + waiting), 0), coalesce(sum(succeeded + failed + cancelled), 0)
    FROM cell
"""
_ATTEMPTS = f"SELECT {ATTEMPT} FROM attempt WHERE task_id = ? ORDER BY fence, call"
_UNPRICED = "a.cost IS NULL AND a.input_tokens IS NOT NULL AND a.model <> ''"
_KNOWN_COST = f"iif(total({_UNPRICED}), NULL, total(a.cost))"
_KEYED = "SELECT id FROM task WHERE run_id = ?1 AND key IS NOT NULL"
_LINES = f"FROM attempt a WHERE task_id IN ({_KEYED}) AND run_id = ?1 AND started_at >= ?2"
# With what flows began, which has no key: all that came since the run's first task.
_FIRST = "(SELECT min(id) FROM task WHERE run_id = ?1 AND key IS NOT NULL)"
_LINES_OF_FLOWS = f"FROM attempt a WHERE task_id >= {_FIRST} AND run_id = ?1 AND started_at >= ?2"
_HAS_FLOWS = "SELECT 1 FROM cell WHERE run_id = ? AND model LIKE '<%' LIMIT 1"
_BOOKS = f"""
    SELECT count(*) FILTER (WHERE model <> ''), total(input_tokens), total(output_tokens), total(cached_tokens),
           total(cost), count(DISTINCT task_id) FILTER (WHERE {_UNPRICED}),
           count(*) FILTER (WHERE outcome = 'transient' AND error ->> 'code' = 'timeout'),
           total(latency) FILTER (WHERE model <> ''), max(started_at + latency), min(started_at),
           count(DISTINCT task_id || '.' || (call / 1000)) FILTER (WHERE model <> '')
"""
_OUTCOMES = f"""
    SELECT coalesce(outcome, 'running'), count(*), total(cost), total({_UNPRICED}),
           total(input_tokens), total(output_tokens)
"""
# What functions and flows cost is what they called, and all that they began.
COST_BELOW = f"""
    WITH RECURSIVE below (root, id) AS (
        SELECT value, value FROM json_each(?)
        UNION ALL SELECT b.root, c.child_id FROM child c JOIN below b ON c.flow_id = b.id
    )
    SELECT b.root, {_KNOWN_COST}
    FROM below b JOIN attempt a ON a.task_id = b.id GROUP BY 1
"""
_DOING = """
    SELECT t.worker_id, c.lane, count(*), min(a.started_at)
    FROM task t JOIN cell c ON c.id = t.cell_id
    LEFT JOIN attempt a ON a.task_id = t.id AND a.fence = t.fence AND a.call = 0
    WHERE t.state = 'running' GROUP BY t.worker_id, c.lane ORDER BY t.worker_id, c.lane
"""
_PARTS = """
    SELECT worker_id, substr(resource, 9), share, slots FROM grant_share
    WHERE substr(resource, 1, 8) = 'account:' AND valid_until > ? ORDER BY worker_id, resource
"""
_COUNTED = (
    State.TRIAGING,
    State.READY,
    State.RUNNING,
    State.WAITING,
    State.SUCCEEDED,
    State.FAILED,
    State.CANCELLED,
)


class Documents:
    """Routes and specs by id, parsed once."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._specs: dict[int, Spec] = {}
        self._routes: dict[int, Route] = {}

    def spec(self, number: int) -> Spec:
        if number not in self._specs:
            self._specs[number] = Spec.from_json(self._content(number))
        return self._specs[number]

    def route(self, number: int) -> Route:
        if number not in self._routes:
            self._routes[number] = Route.from_json(self._content(number))
        return self._routes[number]

    def _content(self, number: int) -> Any:
        return orjson.loads(scalar(self._db, "SELECT content FROM document WHERE id = ?", (number,)))


def find_task(db: apsw.Connection, documents: Documents, ref: str, run_id: int | None) -> Task:
    within = ("", ()) if run_id is None else (" AND t.run_id = ?", (run_id,))
    row = None
    if ref.isdigit():
        row = _first(db.execute(f"{_TASK} WHERE t.id = ?{within[0]}", (int(ref), *within[1])))
    if row is None:
        by_key = f"{_TASK} WHERE t.key = ?{within[0]} ORDER BY t.id DESC LIMIT 1"
        row = _first(db.execute(by_key, (ref, *within[1])))
    if row is None:
        raise NotFoundError(
            f"there is no task {ref!r} in this store",
            hint="give its id or key; --store names another store",
        )
    return _task(documents, row)


def get_tasks(db: apsw.Connection, documents: Documents, ids: Sequence[int]) -> list[Task]:
    wanted = orjson.dumps(list(ids)).decode()
    rows = db.execute(f"{_TASK} WHERE t.id IN (SELECT value FROM json_each(?))", (wanted,))
    return [_task(documents, row) for row in rows]


def _task(documents: Documents, row: Sequence[Any]) -> Task:
    *_, spec, route = row
    return task_of(row, documents.spec(spec), documents.route(route))


def attempts(db: apsw.Connection, task_id: int) -> list[Attempt]:
    return [attempt_of(row) for row in db.execute(_ATTEMPTS, (task_id,))]


def results_after(
    db: apsw.Connection, documents: Documents, run: Run, cursor: int, limit: int, *, failed: bool = False
) -> list[Result]:
    sql = f"{_RESULTS}{_FAILED if failed else ''} ORDER BY r.seq LIMIT ?3"
    found = [result_of(row, documents.spec(row[-1])) for row in db.execute(sql, (cursor, run.id, limit))]
    return with_costs(found, lambda ids: db.execute(COST_BELOW, (orjson.dumps(ids).decode(),)))


def ended_after(db: apsw.Connection, cursor: int, limit: int) -> list[tuple[int, int]]:
    return list(db.execute("SELECT seq, task_id FROM result WHERE seq > ? ORDER BY seq LIMIT ?", (cursor, limit)))


def tally(db: apsw.Connection, run_id: int | None, *, aside: bool = False) -> list[CellTally]:
    return [
        CellTally(*(*row[:4], Urgency(row[4]), dict(zip(_COUNTED, row[5:], strict=True))))
        for row in db.execute(_TALLY, (run_id, aside))
    ]


def backlog(db: apsw.Connection) -> Backlog:
    ((open_, ended),) = db.execute(_BACKLOG)
    return Backlog(open_, ended)


def states(db: apsw.Connection, first: str, last: str) -> dict[str, tuple[Mapping[str, Any], float]]:
    """Saved objects named from ``first`` to ``last``, by what their names have beyond ``first``."""
    rows = db.execute("SELECT name, content, saved_at FROM state WHERE name BETWEEN ? AND ?", (first, last))
    return {name[len(first) :]: (orjson.loads(content), saved_at) for name, content, saved_at in rows}


def workers(db: apsw.Connection) -> list[WorkerInfo]:
    sql = """
        SELECT id, host, pid, joined_at, heartbeat_at, lease_until,
               (SELECT count(*) FROM task WHERE worker_id = worker.id AND state = 'running') FROM worker ORDER BY id
    """
    return [WorkerInfo(*row) for row in db.execute(sql)]


def doing(db: apsw.Connection) -> list[Doing]:
    return [Doing(*row) for row in db.execute(_DOING)]


def parts(db: apsw.Connection, now: float) -> list[Part]:
    return [Part(*row) for row in db.execute(_PARTS, (now,))]


def figures(db: apsw.Connection, documents: Documents, run: Run, since: float | None) -> RunFigures:
    flows = scalar(db, _HAS_FLOWS, (run.id,)) is not None
    lines, bindings = _LINES_OF_FLOWS if flows else _LINES, (run.id, since or 0.0)
    books = _first(db.execute(_BOOKS + lines, bindings))
    by_outcome = list(db.execute(f"{_OUTCOMES} {lines} AND model <> '' GROUP BY 1", bindings))
    outcomes = {outcome: n for outcome, n, *_ in by_outcome}
    groups = _groups(db, documents, run, flows=flows)
    assert books is not None
    return RunFigures(
        calls=int(books[0]),
        retries=max(0, int(books[0]) - books[10]),
        rate_limited=outcomes.get(Outcome.RATE_LIMITED, 0),
        timeouts=books[6],
        lost=outcomes.get(Outcome.LOST, 0),
        input_tokens=int(books[1]),
        output_tokens=int(books[2]),
        cached_tokens=int(books[3]),
        cost_usd=float(books[4]),
        cost_unknown_tasks=books[5],
        sequential_seconds=float(books[7]),
        first_submit=books[9],
        last_settle=books[8],
        by_type=groups["type"],
        by_model=groups["model"],
        by_lane=groups["lane"],
        failures=_failures(db, run),
        outcomes=outcomes,
        outcome_costs={outcome: None if unknown else cost for outcome, _, cost, unknown, *_ in by_outcome},
        outcome_tokens={outcome: (int(tokens[0]), int(tokens[1])) for outcome, _, _, _, *tokens in by_outcome},
    )


# What functions of the app cost is what they called; a flow takes from its first step to its end.
_GROUPED = f"""
    SELECT p.spec_id, c.model, c.lane, t.state,
           CASE WHEN c.model = '' OR c.model LIKE '<%' THEN (
               SELECT {_KNOWN_COST}
               FROM attempt a WHERE task_id = t.id
           ) ELSE r.cost END,
           CASE WHEN t.state <> 'succeeded' THEN NULL WHEN c.model LIKE '<%' THEN
               r.settled_at - (SELECT min(started_at) FROM attempt WHERE task_id = t.id)
           ELSE (SELECT latency FROM attempt WHERE task_id = t.id AND fence = t.fence AND call = 0) END
"""
_OF_KEYED = """
    FROM task t JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    LEFT JOIN result r ON r.seq = t.result_seq
    WHERE t.run_id = ?1 AND t.key IS NOT NULL AND c.shelf = 0
"""
_OF_CHILDREN = f"""
    FROM child h JOIN task t ON t.id = h.child_id JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    JOIN task f ON f.id = h.flow_id JOIN cell fc ON fc.id = f.cell_id LEFT JOIN result r ON r.seq = t.result_seq
    WHERE h.child_id >= {_FIRST} AND t.run_id = ?1 AND (fc.shelf = 0 OR fc.aside)
"""
_CALLED = f"""
    SELECT a.model, t.state, {_KNOWN_COST},
           avg(a.latency)
    FROM attempt a JOIN task t ON t.id = a.task_id JOIN cell c ON c.id = t.cell_id
    WHERE a.call > 0 AND c.model = ''
"""


def _groups(db: apsw.Connection, documents: Documents, run: Run, *, flows: bool) -> dict[str, tuple[GroupFigures, ...]]:
    rows = list(db.execute(_GROUPED + _OF_KEYED, (run.id,)))
    lines = f"a.task_id IN ({_KEYED})"
    if flows:
        rows += db.execute(_GROUPED + _OF_CHILDREN, (run.id,))
        lines = f"a.task_id >= {_FIRST}"
    called: Iterable[Any] = ()
    if any(model == "" for _, model, *_ in rows):
        called = db.execute(f"{_CALLED} AND a.run_id = ?1 AND {lines} GROUP BY a.task_id, a.model", (run.id,))
    return grouped(((documents.spec(spec).type, *rest) for spec, *rest in rows), called)


def _failures(db: apsw.Connection, run: Run) -> tuple[FailureGroup, ...]:
    sql = """
        SELECT r.error ->> 'class', r.error ->> 'code', count(*), min(t.id), t.key, r.error ->> 'message'
        FROM task t JOIN result r ON r.seq = t.result_seq JOIN cell c ON c.id = t.cell_id
        WHERE t.run_id = ? AND t.key IS NOT NULL AND t.state = 'failed' AND c.shelf = 0
        GROUP BY 1, 2 ORDER BY 3 DESC
    """
    return tuple(
        FailureGroup(FailureClass(cls), code, n, key, id_, message)
        for cls, code, n, id_, key, message in db.execute(sql, (run.id,))
    )


def check(db: apsw.Connection) -> list[str]:
    """SQLite's own check, and every maintained counter against the rows it counts."""
    faults = [str(row[0]) for row in db.execute("PRAGMA quick_check") if row[0] != "ok"]
    real: dict[int, Counter[str]] = defaultdict(Counter)
    for cell, state, n in db.execute("SELECT cell_id, state, count(*) FROM task GROUP BY 1, 2"):
        real[cell][state] = n
    columns = ", ".join(state.value for state in _COUNTED)
    for row in db.execute(f"SELECT id, {columns} FROM cell"):
        for state, n in zip(_COUNTED, row[1:], strict=True):
            if real[row[0]][state.value] != n:
                faults.append(f"cell {row[0]}: {n} {state.value} counted, {real[row[0]][state.value]} there")
    checks: list[tuple[str, Callable[[int], str]]] = [
        (
            "SELECT count(*) FROM task LEFT JOIN payload ON task_id = id WHERE task_id IS NULL",
            "{} tasks without payload".format,
        ),
        (
            "SELECT count(*) FROM task WHERE state = 'running' AND worker_id IS NULL",
            "{} tasks run without a worker".format,
        ),
        (
            "SELECT count(*) FROM task t LEFT JOIN result r ON r.seq = t.result_seq AND r.task_id = t.id"
            " WHERE t.state IN ('succeeded', 'failed') AND r.seq IS NULL",
            "{} ended tasks without a result".format,
        ),
    ]
    checks.append(
        (
            "SELECT count(*) FROM task f LEFT JOIN task t ON t.id = f.twin_id"
            " WHERE f.state = 'waiting' AND f.twin_id IS NOT NULL AND (t.id IS NULL OR f.wake_at IS NULL)",
            "{} tasks wait for an earlier one that is not there".format,
        )
    )
    for sql, say in checks:
        if n := scalar(db, sql):
            faults.append(say(n))
    return [*faults, *spending.faults(db)]


def _first(rows: Iterable[Any]) -> Any:
    return next(iter(rows), None)
