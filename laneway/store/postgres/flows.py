"""Flows: who waits for which children, what was said to them, and what they have done so far.

Whoever changes what a flow waits for, or counts it down, holds the lock of the flow's task. Many are locked in the
order of their ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from laneway.errors import NotFoundError
from laneway.store.flows import Arrived, Ask, Event, Heard, History, Step
from laneway.store.postgres.connection import Db, first, rows, run, scalar, text
from laneway.store.postgres.results import fail_all
from laneway.store.postgres.transaction import Transaction
from laneway.task import FLOW, NEW_FLOW, Failure, FailureClass, State

LOCK = "SELECT id FROM laneway.task WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
PARENTS = "SELECT DISTINCT flow_id FROM laneway.child WHERE child_id = ANY(%s)"
COUNTED_IN = """
    SELECT child_id, flow_id, wait_group FROM laneway.child WHERE child_id = ANY(%s) AND wait_group IS NOT NULL
"""
COUNT_DOWN = """
    UPDATE laneway.wait_group g SET lacks = CASE WHEN g.eager AND e.failed THEN 0 ELSE g.lacks - e.n END
    FROM unnest(%s::bigint[], %s::integer[], %s::integer[], %s::boolean[]) AS e (flow_id, number, n, failed)
    WHERE g.flow_id = e.flow_id AND g.number = e.number RETURNING g.flow_id, g.lacks
"""
WAKE = """
    UPDATE laneway.task SET state = 'ready', wake_at = NULL, wait_reason = NULL
    WHERE id = ANY(%s) AND state = 'waiting' AND wait_reason IN ('children', 'event', 'scheduled') RETURNING cell_id
"""
CHILDREN_OF = "SELECT child_id FROM laneway.child WHERE flow_id = ANY(%s)"
OPEN_BELOW = """
    WITH RECURSIVE below (id) AS (
        SELECT unnest(%s::bigint[])
        UNION SELECT c.child_id FROM laneway.child c JOIN below b ON c.flow_id = b.id
    )
    SELECT t.id, t.cell_id, t.state FROM laneway.task t WHERE t.id IN (SELECT id FROM below)
        AND t.state NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY t.id FOR UPDATE OF t
"""
CANCEL = "UPDATE laneway.task SET state = 'cancelled', wake_at = NULL, wait_reason = NULL WHERE id = ANY(%s)"
ASK_TO_END = "UPDATE laneway.task SET cancel_requested = true WHERE id = ANY(%s)"
HEARD = """
    SELECT c.name, c.child_id, t.state, r.output, r.error
    FROM laneway.child c JOIN laneway.task t ON t.id = c.child_id
    LEFT JOIN laneway.result r ON r.seq = t.result_seq WHERE c.flow_id = %s
"""
ENDED = """
    SELECT c.flow_id, c.name, c.child_id, t.state, r.output, r.error
    FROM unnest(%s::bigint[], %s::text[]) AS n (flow_id, name)
    JOIN laneway.child c ON c.flow_id = n.flow_id AND c.name = n.name JOIN laneway.task t ON t.id = c.child_id
    LEFT JOIN laneway.result r ON r.seq = t.result_seq WHERE t.state IN ('succeeded', 'failed', 'cancelled')
"""
STEPS = "SELECT number, at, heard, events FROM laneway.step WHERE flow_id = %s ORDER BY number"
EVENTS = "SELECT name, content, at FROM laneway.event WHERE flow_id = %s ORDER BY number"
LATER_EVENTS = """
    SELECT e.flow_id, e.name, e.content, e.at FROM unnest(%s::bigint[], %s::integer[]) AS n (flow_id, known)
    JOIN laneway.event e ON e.flow_id = n.flow_id AND e.number >= n.known ORDER BY e.flow_id, e.number
"""
OPEN = """
    SELECT coalesce(sum(n.running + CASE WHEN c.model = %s THEN n.ready + n.waiting ELSE 0 END), 0)::bigint
    FROM laneway.cell c JOIN laneway.cell_count n ON n.cell_id = c.id WHERE c.model IN (%s, %s)
"""
SAY = """
    INSERT INTO laneway.event (flow_id, number, name, content, at)
    SELECT %(flow)s, count(*), %(name)s, %(content)s::bytea, %(at)s FROM laneway.event WHERE flow_id = %(flow)s
"""


# when children end ----------------------------------------------------------------------------------------------------
def count_down(tx: Transaction, ended: Iterable[tuple[int, bool]]) -> None:
    """Children ended (id, whether it failed), whose flows are locked: those that need no more of them are ready."""
    failed = dict(ended)
    groups: defaultdict[tuple[int, int], list[bool]] = defaultdict(list)
    for id_, flow, group in rows(tx.db, COUNTED_IN, (list(failed),)):
        groups[flow, group].append(failed[id_])
    if groups:
        keys = sorted(groups)
        ends = [groups[key] for key in keys]
        columns = (
            [flow for flow, _ in keys],
            [number for _, number in keys],
            list(map(len, ends)),
            list(map(any, ends)),
        )
        wake(tx, sorted({flow for flow, lacks in rows(tx.db, COUNT_DOWN, columns) if lacks <= 0}))


def wake(tx: Transaction, flows: Sequence[int]) -> None:
    """Of those that wait."""
    if flows:
        for (cell,) in rows(tx.db, WAKE, (list(flows),)):
            tx.move(cell, State.WAITING, State.READY)


def tell(tx: Transaction, ended: Sequence[int], now: float) -> None:
    """These tasks came to no good end, without a worker's settlement: what they began is called off, and who began
    them hears of it."""
    if ended:
        close(tx, ended, now)
        if parents := [id_ for (id_,) in rows(tx.db, PARENTS, (list(ended),))]:
            rows(tx.db, LOCK, (parents,))
            count_down(tx, [(id_, True) for id_ in ended])


def close(tx: Transaction, flows: Sequence[int], now: float) -> None:
    """Call off what flows that ended have under way."""
    call_off(tx, [id_ for (id_,) in rows(tx.db, CHILDREN_OF, (list(flows),))], now)


def call_off(tx: Transaction, task_ids: Sequence[int], now: float) -> None:
    """These tasks and all that they began. What runs at the moment is asked to end; an answer that comes is kept."""
    if not task_ids:
        return
    running: list[int] = []
    waiting: list[int] = []
    for id_, cell, state in rows(tx.db, OPEN_BELOW, (list(task_ids),)):
        if state == State.RUNNING:
            running.append(id_)
        else:
            waiting.append(id_)
            tx.move(cell, State(state), State.CANCELLED)
    if running:
        run(tx.db, ASK_TO_END, (running,))
    if waiting:
        run(tx.db, CANCEL, (waiting,))
        fail_all(tx, waiting, Failure(FailureClass.REQUEST, "cancelled", "its flow needs it no more"), now)


# from outside ---------------------------------------------------------------------------------------------------------
def send_event(tx: Transaction, flow_id: int, event: Event) -> bool:
    state = scalar(tx.db, "SELECT state FROM laneway.task WHERE id = %s FOR UPDATE", (flow_id,))
    if state is None:
        raise NotFoundError(f"there is no task {flow_id}", hint="give the id or key of a flow")
    if State(state).ended:
        return False
    run(tx.db, SAY, {"flow": flow_id, "name": text(event.name), "content": event.content, "at": event.at})
    if first(tx.db, "SELECT 1 FROM laneway.step WHERE flow_id = %s LIMIT 1", (flow_id,)):  # not what waits to begin
        wake(tx, [flow_id])
    return True


# reading --------------------------------------------------------------------------------------------------------------
def history(db: Db, flow_id: int) -> History:
    found = History()
    for number, at, heard, events in rows(db, STEPS, (flow_id,)):
        found.steps.append(Step(number, at, tuple(heard), events))
    for row in rows(db, HEARD, (flow_id,)):
        found.children[row[0]] = _heard(row)
    found.events = [Event(*row) for row in rows(db, EVENTS, (flow_id,))]
    return found


def arrived(db: Db, asked: Sequence[Ask]) -> dict[int, Arrived]:
    found = {ask.flow_id: Arrived() for ask in asked}
    wanted = [(ask.flow_id, name) for ask in asked for name in ask.names]
    for flow_id, *row in rows(db, ENDED, ([id_ for id_, _ in wanted], [name for _, name in wanted])):
        found[flow_id].children.append(_heard(row))
    for flow_id, *row in rows(db, LATER_EVENTS, (list(found), [ask.events for ask in asked])):
        found[flow_id].events.append(Event(*row))
    return found


def _heard(row: Sequence[Any]) -> Heard:
    name, id_, state, output, error = row
    return Heard(name, id_, State(state), output, error)


def open_flows(db: Db) -> int:
    return int(scalar(db, OPEN, (FLOW, FLOW, NEW_FLOW)))
