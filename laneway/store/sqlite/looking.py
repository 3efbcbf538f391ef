"""Flows as people see them: trees, steps, and what kinds of tasks a run has."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import orjson

from laneway.store.flows import Event, History, Node, Step, TypeCount
from laneway.task import CLASSIFY, State

TREES = """
    WITH RECURSIVE tree (id, parent, name, depth, step) AS (
        SELECT id, NULL, coalesce(key, ''), 0, NULL FROM task WHERE id IN (SELECT value FROM json_each(?))
        UNION ALL SELECT c.child_id, c.flow_id, c.name, tree.depth + 1, c.step
        FROM child c JOIN tree ON c.flow_id = tree.id LIMIT ?
    )
    SELECT t.id, tree.parent, tree.name, d.content ->> 'type', t.state, t.wait_reason, c.model, p.submitted_at,
           (SELECT min(started_at) FROM attempt WHERE task_id = t.id), r.settled_at,
           (SELECT total(cost) FROM attempt WHERE task_id = t.id),
           (SELECT latency FROM attempt WHERE task_id = t.id AND fence = t.fence AND call = 0),
           coalesce(tree.step < 0, 0), tree.step,
           (SELECT total(latency) FROM attempt WHERE task_id = t.id AND model <> '')
    FROM tree JOIN task t ON t.id = tree.id JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id
    JOIN document d ON d.id = p.spec_id LEFT JOIN result r ON r.seq = t.result_seq ORDER BY tree.depth, t.id
"""
STEPS = """
    SELECT flow_id, number, at, heard, events FROM step
    WHERE flow_id IN (SELECT value FROM json_each(?)) ORDER BY flow_id, number
"""
EVENTS = """
    SELECT flow_id, name, content, at FROM event
    WHERE flow_id IN (SELECT value FROM json_each(?)) ORDER BY flow_id, number
"""
FLOWS = """
    SELECT t.id FROM task t JOIN cell c ON c.id = t.cell_id
    WHERE c.run_id = ?1 AND t.run_id = ?1 AND c.shelf = 0 AND c.model LIKE '<%' AND (NOT ?2 OR t.state = 'succeeded')
    ORDER BY CASE t.state WHEN 'running' THEN 0 WHEN 'waiting' THEN 1 WHEN 'failed' THEN 2
                          WHEN 'ready' THEN iif(c.model = '<new flow>', 4, 0) WHEN 'triaging' THEN 4 ELSE 3 END,
             iif(t.state IN ('succeeded', 'cancelled'), -coalesce(t.result_seq, 0), t.id) LIMIT ?3
"""
SHAPE = """
    SELECT d.content ->> 'type', c.model LIKE '<%', t.state, count(*)
    FROM task t JOIN cell c ON c.id = t.cell_id JOIN payload p ON p.task_id = t.id JOIN document d ON d.id = p.spec_id
    WHERE t.run_id = ? AND (c.shelf = 0 OR c.aside) GROUP BY p.spec_id, 2, 3 ORDER BY min(t.id)
"""
LAST = """
    SELECT t.id, t.run_id FROM payload p JOIN task t ON t.id = p.task_id JOIN cell c ON c.id = t.cell_id
    WHERE p.spec_id IN (SELECT id FROM document WHERE CAST(content AS TEXT) ->> '$.type' = ?)
          AND c.model LIKE '<%' AND c.shelf = 0 ORDER BY p.task_id DESC LIMIT 1
"""


def trees(db: apsw.Connection, flow_ids: Sequence[int], most: int | None = None) -> list[Node]:
    rows = db.execute(TREES, (_json(flow_ids), -1 if most is None else most))
    return [Node._make((*row[:4], State(row[4]), *row[5:12], bool(row[12]), *row[13:])) for row in rows]


def chronicles(db: apsw.Connection, flow_ids: Sequence[int]) -> dict[int, History]:
    found = {id_: History() for id_ in flow_ids}
    for id_, number, at, heard, events in db.execute(STEPS, (_json(flow_ids),)):
        found[id_].steps.append(Step(number, at, tuple(orjson.loads(heard)), events))
    for id_, *event in db.execute(EVENTS, (_json(flow_ids),)):
        found[id_].events.append(Event(*event))
    return found


def flows(db: apsw.Connection, run_id: int, limit: int, *, ended: bool) -> list[int]:
    return [id_ for (id_,) in db.execute(FLOWS, (run_id, ended, limit))]


def shape(db: apsw.Connection, run_id: int) -> list[TypeCount]:
    rows = db.execute(SHAPE, (run_id,))
    return [TypeCount(name, bool(flow), State(state), n) for name, flow, state, n in rows if name != CLASSIFY]


def last_flow(db: apsw.Connection, type_: str) -> tuple[int, int] | None:
    return next(iter(db.execute(LAST, (type_,))), None)


def _json(values: Sequence[int]) -> str:
    return orjson.dumps(list(values)).decode()
