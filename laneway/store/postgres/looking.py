"""Flows as people see them: trees, steps, and what kinds of tasks a run has."""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.flows import Event, History, Node, Step, TypeCount
from laneway.store.postgres.connection import Db, first, rows, text
from laneway.task import CLASSIFY, State

TREES = """
    WITH RECURSIVE tree (id, parent, name, depth, step) AS (
        SELECT id, NULL::bigint, coalesce(key, ''), 0, NULL::integer FROM laneway.task WHERE id = ANY(%s)
        UNION ALL SELECT c.child_id, c.flow_id, c.name, tree.depth + 1, c.step
        FROM laneway.child c JOIN tree ON c.flow_id = tree.id
    )
    SELECT t.id, tree.parent, tree.name, d.type, t.state, t.wait_reason, c.model, p.submitted_at,
           (SELECT min(started_at) FROM laneway.attempt WHERE task_id = t.id), r.settled_at,
           (SELECT coalesce(sum(cost), 0) FROM laneway.attempt WHERE task_id = t.id),
           (SELECT latency FROM laneway.attempt WHERE task_id = t.id AND fence = t.fence AND call = 0),
           coalesce(tree.step < 0, false), tree.step,
           (SELECT coalesce(sum(latency), 0) FROM laneway.attempt WHERE task_id = t.id AND model <> '')
    FROM (SELECT * FROM tree LIMIT %s) tree JOIN laneway.task t ON t.id = tree.id
    JOIN laneway.cell c ON c.id = t.cell_id JOIN laneway.payload p ON p.task_id = t.id
    JOIN laneway.document d ON d.id = p.spec_id
    LEFT JOIN laneway.result r ON r.seq = t.result_seq ORDER BY tree.depth, t.id
"""
STEPS = """
    SELECT flow_id, number, at, heard, events FROM laneway.step WHERE flow_id = ANY(%s) ORDER BY flow_id, number
"""
EVENTS = """
    SELECT flow_id, name, content, at FROM laneway.event WHERE flow_id = ANY(%s) ORDER BY flow_id, number
"""
FLOWS = """
    SELECT t.id FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id
    WHERE c.run_id = %(run)s AND t.run_id = %(run)s AND NOT c.shelf AND starts_with(c.model, '<')
          AND (NOT %(ended)s OR t.state = 'succeeded')
    ORDER BY CASE WHEN t.state = 'running' THEN 0 WHEN t.state = 'waiting' THEN 1
                  WHEN t.state = 'ready' AND c.model <> '<new flow>' THEN 0 WHEN t.state IN ('ready', 'triaging') THEN 4
                  WHEN t.state = 'failed' THEN 2 ELSE 3 END,
             CASE WHEN t.state IN ('succeeded', 'cancelled') THEN -coalesce(t.result_seq, 0) ELSE t.id END
    LIMIT %(limit)s
"""
SHAPE = """
    SELECT d.type, starts_with(c.model, '<'), t.state, count(*) FROM laneway.task t
    JOIN laneway.cell c ON c.id = t.cell_id JOIN laneway.payload p ON p.task_id = t.id
    JOIN laneway.document d ON d.id = p.spec_id
    WHERE t.run_id = %s AND (NOT c.shelf OR c.aside) GROUP BY p.spec_id, d.type, 2, 3 ORDER BY min(t.id)
"""
LAST = """
    SELECT t.id, t.run_id FROM laneway.payload p JOIN laneway.task t ON t.id = p.task_id
    JOIN laneway.cell c ON c.id = t.cell_id
    WHERE p.spec_id IN (SELECT id FROM laneway.document WHERE type = %s)
          AND starts_with(c.model, '<') AND NOT c.shelf ORDER BY p.task_id DESC LIMIT 1
"""


def trees(db: Db, flow_ids: Sequence[int], most: int | None = None) -> list[Node]:
    return [Node._make((*row[:4], State(row[4]), *row[5:])) for row in rows(db, TREES, (list(flow_ids), most))]


def chronicles(db: Db, flow_ids: Sequence[int]) -> dict[int, History]:
    found = {id_: History() for id_ in flow_ids}
    for id_, number, at, heard, events in rows(db, STEPS, (list(flow_ids),)):
        found[id_].steps.append(Step(number, at, tuple(heard), events))
    for id_, name, content, at in rows(db, EVENTS, (list(flow_ids),)):
        found[id_].events.append(Event(name, content, at))
    return found


def flows(db: Db, run_id: int, limit: int, *, ended: bool) -> list[int]:
    return [id_ for (id_,) in rows(db, FLOWS, {"run": run_id, "ended": ended, "limit": limit})]


def shape(db: Db, run_id: int) -> list[TypeCount]:
    found = rows(db, SHAPE, (run_id,))
    return [TypeCount(name, flow, State(state), n) for name, flow, state, n in found if name != CLASSIFY]


def last_flow(db: Db, type_: str) -> tuple[int, int] | None:
    found = first(db, LAST, (text(type_),))
    return None if found is None else (found[0], found[1])
