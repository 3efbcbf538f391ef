"""Flows: who waits for which children, what was said to them, and what they have done so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import orjson

from laneway.errors import NotFoundError
from laneway.store.flows import Arrived, Ask, Event, Heard, History, Step
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.results import fail
from laneway.store.sqlite.transaction import Transaction
from laneway.task import FLOW, NEW_FLOW, Failure, FailureClass, State

COUNTED_IN = """
    SELECT child_id, flow_id, wait_group FROM child
    WHERE child_id IN (SELECT value FROM json_each(?)) AND wait_group IS NOT NULL
"""
COUNT_DOWN = """
    UPDATE wait_group SET lacks = iif(eager AND ?, 0, lacks - ?) WHERE flow_id = ? AND number = ? RETURNING lacks
"""
WAKE = """
    UPDATE task SET state = 'ready', wake_at = NULL, wait_reason = NULL
    WHERE id = ? AND state = 'waiting' AND wait_reason IN ('children', 'event', 'scheduled') RETURNING cell_id
"""
CHILDREN_OF = "SELECT child_id FROM child WHERE flow_id IN (SELECT value FROM json_each(?))"
OPEN_BELOW = """
    WITH RECURSIVE below (id) AS (
        SELECT value FROM json_each(?) UNION SELECT c.child_id FROM child c JOIN below b ON c.flow_id = b.id
    )
    SELECT t.id, t.cell_id, t.state FROM below b JOIN task t ON t.id = b.id
    WHERE t.state NOT IN ('succeeded', 'failed', 'cancelled')
"""
HEARD = """
    SELECT c.name, c.child_id, t.state, r.output, r.error FROM child c JOIN task t ON t.id = c.child_id
    LEFT JOIN result r ON r.seq = t.result_seq WHERE c.flow_id = ?
"""
ENDED = """
    SELECT c.flow_id, c.name, c.child_id, t.state, r.output, r.error
    FROM json_each(?) n JOIN child c ON c.flow_id = n.value ->> 0 AND c.name = n.value ->> 1
    JOIN task t ON t.id = c.child_id LEFT JOIN result r ON r.seq = t.result_seq
    WHERE t.state IN ('succeeded', 'failed', 'cancelled')
"""
STEPS = "SELECT number, at, heard, events FROM step WHERE flow_id = ? ORDER BY number"
EVENTS = "SELECT name, content, at FROM event WHERE flow_id = ? ORDER BY number"
LATER_EVENTS = """
    SELECT e.flow_id, e.name, e.content, e.at FROM json_each(?) n
    JOIN event e ON e.flow_id = n.value ->> 0 AND e.number >= n.value ->> 1 ORDER BY e.flow_id, e.number
"""
KNOWN_EVENTS = "SELECT count(*) FROM event WHERE flow_id = ?"
OPEN = "SELECT total(running + iif(model = ?, ready + waiting, 0)) FROM cell WHERE model IN (?, ?)"


# when children end ----------------------------------------------------------------------------------------------------
def count_down(tx: Transaction, ended: Iterable[tuple[int, bool]]) -> None:
    """Children ended (id, whether it failed): flows that need no more of them are ready."""
    failed = dict(ended)
    groups: defaultdict[tuple[int, int], list[bool]] = defaultdict(list)
    for id_, flow, group in tx.db.execute(COUNTED_IN, (_json(failed),)):
        groups[flow, group].append(failed[id_])
    for (flow, group), ends in sorted(groups.items()):
        lacks = scalar(tx.db, COUNT_DOWN, (any(ends), len(ends), flow, group))
        if lacks is not None and lacks <= 0:
            wake(tx, flow)


def wake(tx: Transaction, flow: int) -> None:
    for (cell,) in list(tx.db.execute(WAKE, (flow,))):
        tx.move(cell, State.WAITING, State.READY)


def tell(tx: Transaction, ended: Sequence[int], now: float) -> None:
    """These tasks came to no good end, without a worker's settlement: what they began is called off, and who began
    them hears of it."""
    if ended:
        close(tx, ended, now)
        count_down(tx, [(id_, True) for id_ in ended])


def close(tx: Transaction, flows: Sequence[int], now: float) -> None:
    """Call off what flows that ended have under way."""
    call_off(tx, [id_ for (id_,) in tx.db.execute(CHILDREN_OF, (_json(flows),))], now)


def call_off(tx: Transaction, task_ids: Sequence[int], now: float) -> None:
    """These tasks and all that they began. What runs at the moment is asked to end; an answer that comes is kept."""
    if not task_ids:
        return
    for id_, cell, state in list(tx.db.execute(OPEN_BELOW, (_json(task_ids),))):
        if state == State.RUNNING:
            tx.db.execute("UPDATE task SET cancel_requested = 1 WHERE id = ?", (id_,))
            continue
        sql = "UPDATE task SET state = 'cancelled', wake_at = NULL, wait_reason = NULL WHERE id = ?"
        tx.db.execute(sql, (id_,))
        tx.move(cell, State(state), State.CANCELLED)
        fail(tx, id_, Failure(FailureClass.REQUEST, "cancelled", "its flow needs it no more"), now)


# from outside ---------------------------------------------------------------------------------------------------------
def send_event(tx: Transaction, flow_id: int, event: Event) -> bool:
    state = scalar(tx.db, "SELECT state FROM task WHERE id = ?", (flow_id,))
    if state is None:
        raise NotFoundError(f"there is no task {flow_id}", hint="give the id or key of a flow")
    if State(state).ended:
        return False
    number = scalar(tx.db, KNOWN_EVENTS, (flow_id,))
    sql = "INSERT INTO event (flow_id, number, name, content, at) VALUES (?, ?, ?, ?, ?)"
    tx.db.execute(sql, (flow_id, number, *event))
    if scalar(tx.db, "SELECT 1 FROM step WHERE flow_id = ?", (flow_id,)):  # not what waits to begin
        wake(tx, flow_id)
    return True


# reading --------------------------------------------------------------------------------------------------------------
def history(db: apsw.Connection, flow_id: int) -> History:
    found = History()
    for number, at, heard, events in db.execute(STEPS, (flow_id,)):
        found.steps.append(Step(number, at, tuple(orjson.loads(heard)), events))
    for row in db.execute(HEARD, (flow_id,)):
        found.children[row[0]] = _heard(row)
    found.events = [Event(*row) for row in db.execute(EVENTS, (flow_id,))]
    return found


def arrived(db: apsw.Connection, asked: Sequence[Ask]) -> dict[int, Arrived]:
    found = {ask.flow_id: Arrived() for ask in asked}
    for flow_id, *row in db.execute(ENDED, (_json((ask.flow_id, name) for ask in asked for name in ask.names),)):
        found[flow_id].children.append(_heard(row))
    for flow_id, *row in db.execute(LATER_EVENTS, (_json((ask.flow_id, ask.events) for ask in asked),)):
        found[flow_id].events.append(Event(*row))
    return found


def _heard(row: Sequence[Any]) -> Heard:
    name, id_, state, output, error = row
    return Heard(name, id_, State(state), output, orjson.loads(error) if error else None)


def open_flows(db: apsw.Connection) -> int:
    return int(scalar(db, OPEN, (FLOW, FLOW, NEW_FLOW)))


def _json(values: Iterable[Any]) -> str:
    return orjson.dumps(list(values)).decode()
