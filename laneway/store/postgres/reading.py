"""Reading for people and results files: tasks, the ledger, a run's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from laneway.errors import NotFoundError
from laneway.store.cells import Backlog, CellTally
from laneway.store.figures import FailureGroup, GroupFigures, RunFigures
from laneway.store.postgres.connection import Db, by_index, first, rows, scalar
from laneway.store.postgres.documents import Documents
from laneway.store.postgres.transaction import HORIZON, STATES
from laneway.store.results import Result
from laneway.store.rows import ATTEMPT, RESULT, TASK, attempt_of, grouped, result_of, task_of, with_costs
from laneway.store.runs import Run
from laneway.store.workers import Doing, Part, WorkerInfo
from laneway.task import Attempt, FailureClass, Outcome, State, Task, Urgency

_TASK = f"""
    SELECT {TASK} FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id
    JOIN laneway.payload p ON p.task_id = t.id LEFT JOIN laneway.result r ON r.seq = t.result_seq
"""
RESULTS = f"""
    SELECT {RESULT}
    FROM laneway.result r JOIN laneway.task t ON t.result_seq = r.seq AND t.id = r.task_id
    JOIN laneway.cell c ON c.id = t.cell_id JOIN laneway.payload p ON p.task_id = t.id
    WHERE r.seq > greatest(%(cursor)s, (SELECT first_seq FROM laneway.run WHERE id = %(run)s))
          AND r.seq < ({HORIZON}) AND t.run_id = %(run)s AND NOT c.shelf
"""
_FAILED = " AND t.state IN ('failed', 'cancelled')"
TALLY = f"""
    SELECT c.id, c.run_id, c.model, c.lane, c.urgency, {", ".join(f"n.{state}" for state in STATES)}
    FROM laneway.cell c CROSS JOIN LATERAL (
        SELECT {", ".join(f"coalesce(sum({state}), 0)::bigint AS {state}" for state in STATES)}
        FROM laneway.cell_count WHERE cell_id = c.id
    ) n WHERE (NOT c.shelf OR c.aside AND %(aside)s) AND (%(run)s::bigint IS NULL OR c.run_id = %(run)s) ORDER BY c.id
"""
_BACKLOG = """
    SELECT coalesce(sum(triaging + ready + running + waiting), 0)::bigint,
           coalesce(sum(succeeded + failed + cancelled), 0)::bigint
    FROM laneway.cell_count
"""
_ATTEMPTS = f"SELECT {ATTEMPT} FROM laneway.attempt WHERE task_id = %s ORDER BY fence, call"
_ENDED = f"""
    SELECT seq, task_id FROM laneway.result WHERE seq > %s AND seq < ({HORIZON}) ORDER BY seq LIMIT %s
"""
_DOING = """
    SELECT t.worker_id, c.lane, count(*), min(a.started_at)
    FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id
    LEFT JOIN laneway.attempt a ON a.task_id = t.id AND a.fence = t.fence AND a.call = 0
    WHERE t.state = 'running' GROUP BY t.worker_id, c.lane ORDER BY t.worker_id, c.lane
"""
_PARTS = """
    SELECT worker_id, substr(resource, 9), share, slots FROM laneway.grant_share
    WHERE substr(resource, 1, 8) = 'account:' AND valid_until > %s ORDER BY worker_id, resource
"""
_WORKERS = """
    SELECT id, host, pid, joined_at, heartbeat_at, lease_until,
           (SELECT count(*) FROM laneway.task WHERE worker_id = worker.id AND state = 'running')
    FROM laneway.worker ORDER BY id
"""
_UNPRICED = "a.cost IS NULL AND a.input_tokens IS NOT NULL AND a.model <> ''"
# With what flows began, which has no key: all that came since the run's first task.
_FIRST = "(SELECT min(id) FROM laneway.task WHERE run_id = %(run)s AND key IS NOT NULL)"
_LINES = """
    FROM laneway.attempt a WHERE a.run_id = %(run)s AND a.started_at >= %(since)s
    AND EXISTS (SELECT 1 FROM laneway.task t WHERE t.id = a.task_id AND t.run_id = %(run)s AND t.key IS NOT NULL)
"""
_LINES_OF_FLOWS = f"""
    FROM laneway.attempt a WHERE a.run_id = %(run)s AND a.started_at >= %(since)s AND a.task_id >= {_FIRST}
"""
_HAS_FLOWS = "SELECT 1 FROM laneway.cell WHERE run_id = %s AND starts_with(model, '<') LIMIT 1"
BOOKS = f"""
    SELECT count(*) FILTER (WHERE model <> ''), coalesce(sum(input_tokens), 0)::bigint,
           coalesce(sum(output_tokens), 0)::bigint, coalesce(sum(cached_tokens), 0)::bigint, coalesce(sum(cost), 0),
           count(DISTINCT task_id) FILTER (WHERE {_UNPRICED}),
           count(*) FILTER (WHERE outcome = 'transient' AND error ->> 'code' = 'timeout'),
           coalesce(sum(latency) FILTER (WHERE model <> ''), 0), max(started_at + latency), min(started_at),
           count(DISTINCT (task_id, call / 1000)) FILTER (WHERE model <> '')
"""
OUTCOMES = f"""
    SELECT coalesce(outcome, 'running'), count(*), coalesce(sum(cost), 0),
           count(*) FILTER (WHERE {_UNPRICED}),
           coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint
"""
# What functions of the app cost is what they called; a flow takes from its first step to its end.
_KNOWN_COST = f"""
    CASE WHEN count(*) FILTER (WHERE {_UNPRICED}) = 0
    THEN coalesce(sum(a.cost), 0) END
"""
_GROUPED = f"""
    SELECT p.spec_id, c.model, c.lane, t.state,
           CASE WHEN c.model = '' OR starts_with(c.model, '<')
                THEN (SELECT {_KNOWN_COST} FROM laneway.attempt a WHERE a.task_id = t.id) ELSE r.cost END,
           CASE WHEN t.state <> 'succeeded' THEN NULL WHEN starts_with(c.model, '<')
                THEN r.settled_at - (SELECT min(started_at) FROM laneway.attempt WHERE task_id = t.id)
                ELSE l.latency END
"""
_OF_KEYED = """
    FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id JOIN laneway.payload p ON p.task_id = t.id
    LEFT JOIN laneway.result r ON r.seq = t.result_seq
    LEFT JOIN laneway.attempt l ON l.task_id = t.id AND l.fence = t.fence AND l.call = 0
    WHERE t.run_id = %(run)s AND t.key IS NOT NULL AND NOT c.shelf
"""
_OF_CHILDREN = f"""
    FROM laneway.child h JOIN laneway.task t ON t.id = h.child_id JOIN laneway.cell c ON c.id = t.cell_id
    JOIN laneway.payload p ON p.task_id = t.id JOIN laneway.task f ON f.id = h.flow_id
    JOIN laneway.cell fc ON fc.id = f.cell_id LEFT JOIN laneway.result r ON r.seq = t.result_seq
    LEFT JOIN laneway.attempt l ON l.task_id = t.id AND l.fence = t.fence AND l.call = 0
    WHERE h.child_id >= {_FIRST} AND t.run_id = %(run)s AND (NOT fc.shelf OR fc.aside)
"""
_CALLED = f"""
    SELECT a.model, t.state, {_KNOWN_COST}, avg(a.latency)
    FROM laneway.attempt a JOIN laneway.task t ON t.id = a.task_id JOIN laneway.cell c ON c.id = t.cell_id
    WHERE a.run_id = %(run)s AND a.call > 0 AND c.model = '' AND a.task_id >= {_FIRST}
    GROUP BY a.task_id, a.model, t.state
"""
# What functions and flows cost is what they called, and all that they began.
COST_BELOW = f"""
    WITH RECURSIVE below (root, id) AS (
        SELECT one, one FROM unnest(%s::bigint[]) AS one
        UNION ALL SELECT b.root, c.child_id FROM laneway.child c JOIN below b ON c.flow_id = b.id
    )
    SELECT b.root, {_KNOWN_COST} FROM below b JOIN laneway.attempt a ON a.task_id = b.id GROUP BY 1
"""
_FAILURES = """
    SELECT class, code, n, id, key, message FROM (
        SELECT r.error ->> 'class' AS class, r.error ->> 'code' AS code, t.id, t.key, r.error ->> 'message' AS message,
               row_number() OVER (PARTITION BY r.error ->> 'class', r.error ->> 'code' ORDER BY t.id) AS place,
               count(*) OVER (PARTITION BY r.error ->> 'class', r.error ->> 'code') AS n
        FROM laneway.task t JOIN laneway.result r ON r.seq = t.result_seq JOIN laneway.cell c ON c.id = t.cell_id
        WHERE t.run_id = %s AND t.key IS NOT NULL AND t.state = 'failed' AND NOT c.shelf
    ) one WHERE place = 1 ORDER BY n DESC, id
"""


# tasks ----------------------------------------------------------------------------------------------------------------
def find_task(db: Db, documents: Documents, ref: str, run_id: int | None) -> Task:
    row = None
    run = "(%s::bigint IS NULL OR t.run_id = %s)"
    if ref.isdecimal() and len(ref) < 19:
        row = first(db, f"{_TASK} WHERE t.id = %s AND {run}", (int(ref), run_id, run_id))
    if row is None and "\x00" not in ref:
        row = first(db, f"{_TASK} WHERE t.key = %s AND {run} ORDER BY t.id DESC LIMIT 1", (ref, run_id, run_id))
    if row is None:
        raise NotFoundError(
            f"there is no task {ref!r} in this store",
            hint="give its id or key; --store names another store",
        )
    return _tasks(db, documents, [row])[0]


def get_tasks(db: Db, documents: Documents, ids: Sequence[int]) -> list[Task]:
    return _tasks(db, documents, rows(db, f"{_TASK} WHERE t.id = ANY(%s) ORDER BY t.id", (list(ids),)))


def _tasks(db: Db, documents: Documents, found: Sequence[Sequence[Any]]) -> list[Task]:
    documents.read(db, [number for row in found for number in row[-2:]])
    return [task_of(row, documents.spec(row[-2]), documents.route(row[-1])) for row in found]


def attempts(db: Db, task_id: int) -> list[Attempt]:
    return [attempt_of(row) for row in rows(db, _ATTEMPTS, (task_id,))]


# results --------------------------------------------------------------------------------------------------------------
def results_after(
    db: Db, documents: Documents, run: Run, cursor: int, limit: int, *, failed: bool = False
) -> list[Result]:
    sql = f"{RESULTS}{_FAILED if failed else ''} ORDER BY r.seq LIMIT %(limit)s"
    with by_index(db):
        found = rows(db, sql, {"cursor": cursor, "run": run.id, "limit": limit})
    documents.read(db, [row[-1] for row in found])
    results = [result_of(row, documents.spec(row[-1])) for row in found]
    return with_costs(results, lambda ids: rows(db, COST_BELOW, (ids,)))


def ended_after(db: Db, cursor: int, limit: int) -> list[tuple[int, int]]:
    with by_index(db):
        return [(seq, task_id) for seq, task_id in rows(db, _ENDED, (cursor, limit))]


def last_result(db: Db) -> int:
    return int(scalar(db, f"SELECT coalesce(max(seq), 0) FROM laneway.result WHERE seq < ({HORIZON})"))


# figures --------------------------------------------------------------------------------------------------------------
def tally(db: Db, run_id: int | None, *, aside: bool = False) -> list[CellTally]:
    return [
        CellTally(*(*row[:4], Urgency(row[4]), dict(zip(State, row[5:], strict=True))))
        for row in rows(db, TALLY, {"run": run_id, "aside": aside})
    ]


def backlog(db: Db) -> Backlog:
    row = first(db, _BACKLOG)
    assert row is not None
    return Backlog(*row)


def states(db: Db, prefix: str) -> dict[str, tuple[Mapping[str, Any], float]]:
    """Saved objects whose names begin with the prefix, by what their names have beyond it."""
    sql = "SELECT name, content, saved_at FROM laneway.state WHERE name >= %s AND name < %s"
    found = rows(db, sql, (prefix, prefix + "\U0010ffff"))
    return {name[len(prefix) :]: (content, saved_at) for name, content, saved_at in found}


def load_state(db: Db, name: str) -> tuple[Mapping[str, Any], float] | None:
    row = first(db, "SELECT content, saved_at FROM laneway.state WHERE name = %s", (name,))
    return None if row is None else (row[0], row[1])


def workers(db: Db) -> list[WorkerInfo]:
    return [WorkerInfo(*row) for row in rows(db, _WORKERS)]


def doing(db: Db) -> list[Doing]:
    return [Doing(*row) for row in rows(db, _DOING)]


def parts(db: Db, now: float) -> list[Part]:
    return [Part(*row) for row in rows(db, _PARTS, (now,))]


def figures(db: Db, documents: Documents, run: Run, since: float | None) -> RunFigures:
    where = {"run": run.id, "since": since or 0.0}
    flows = scalar(db, _HAS_FLOWS, (run.id,)) is not None
    lines = _LINES_OF_FLOWS if flows else _LINES
    (books,) = rows(db, BOOKS + lines, where)
    calls, inputs, outputs, cached, cost, unknown, timeouts, sequential, last, begun, asked = books
    by_outcome = rows(db, f"{OUTCOMES} {lines} AND model <> '' GROUP BY 1", where)
    outcomes = {outcome: n for outcome, n, *_ in by_outcome}
    groups = _groups(db, documents, run, flows=flows)
    return RunFigures(
        calls=calls,
        retries=max(0, calls - asked),
        rate_limited=outcomes.get(Outcome.RATE_LIMITED, 0),
        timeouts=timeouts,
        lost=outcomes.get(Outcome.LOST, 0),
        input_tokens=inputs,
        output_tokens=outputs,
        cached_tokens=cached,
        cost_usd=cost,
        cost_unknown_tasks=unknown,
        sequential_seconds=sequential,
        first_submit=begun,
        last_settle=last,
        by_type=groups["type"],
        by_model=groups["model"],
        by_lane=groups["lane"],
        failures=_failures(db, run),
        outcomes=outcomes,
        outcome_costs={outcome: None if unpriced else usd for outcome, _, usd, unpriced, *_ in by_outcome},
        outcome_tokens={outcome: (inputs, outputs) for outcome, _, _, _, inputs, outputs in by_outcome},
    )


def _groups(db: Db, documents: Documents, run: Run, *, flows: bool) -> dict[str, tuple[GroupFigures, ...]]:
    where = {"run": run.id}
    found = rows(db, _GROUPED + _OF_KEYED, where)
    if flows:
        found += rows(db, _GROUPED + _OF_CHILDREN, where)
    documents.read(db, [row[0] for row in found])
    called = rows(db, _CALLED, where) if any(row[1] == "" for row in found) else []
    return grouped(((documents.spec(spec).type, *rest) for spec, *rest in found), called)


def _failures(db: Db, run: Run) -> tuple[FailureGroup, ...]:
    return tuple(
        FailureGroup(FailureClass(cls), code, n, key, id_, message)
        for cls, code, n, id_, key, message in rows(db, _FAILURES, (run.id,))
    )
