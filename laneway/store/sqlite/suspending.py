"""The end of a flow's step: its children begin, and it waits for them, held by nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson

from laneway.store.flows import Flow, Suspended, Suspension
from laneway.store.runs import Run
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.flows import KNOWN_EVENTS, call_off, close
from laneway.store.sqlite.places import cell_id
from laneway.store.sqlite.runs import get_run, requeue
from laneway.store.sqlite.submitting import submit
from laneway.store.sqlite.transaction import Transaction
from laneway.task import State

STEP = "INSERT INTO step (flow_id, number, at, heard, events) VALUES (?, ?, ?, ?, ?)"
CHILD = "INSERT INTO child (child_id, flow_id, name, step, wait_group) VALUES (?, ?, ?, ?, ?)"
GROUP = "INSERT INTO wait_group (flow_id, number, lacks, eager) VALUES (?, ?, ?, ?)"
COUNTS_IN = "UPDATE child SET wait_group = ? WHERE flow_id = ? AND name = ?"
ORPHAN = "UPDATE child SET step = -1 WHERE flow_id = ? AND name = ?"
NAMED = """
    SELECT c.name, c.child_id, t.cell_id, t.state FROM child c JOIN task t ON t.id = c.child_id
    WHERE c.flow_id = ? AND c.name IN (SELECT value FROM json_each(?))
"""


def suspend(tx: Transaction, flows: Sequence[Flow], now: float) -> dict[int, Suspended]:
    """Where they stand now, by id: ready again where what they would wait for is there already."""
    groups = {flow.id: flow.left.groups() for flow in flows}
    _begin(tx, flows, groups, now)
    cells: dict[tuple[int, str], int] = {}
    done: dict[int, Suspended] = {}
    for flow in flows:
        id_, left = flow.id, flow.left
        tx.db.execute(STEP, (id_, left.step, left.at, _json(left.heard), left.events))
        _try_again(tx, id_, left.again)
        go_on = _wait(tx, id_, left, groups[id_]) or scalar(tx.db, KNOWN_EVENTS, (id_,)) > left.events
        _drop(tx, id_, left, now)
        place = flow.cell_id, left.queue
        if place not in cells:
            cells[place] = _cell(tx, flow.run_id, *place)
        done[id_] = Suspended(State.READY if go_on else State.WAITING, cells[place])
    return done


def finish(tx: Transaction, flow_id: int, left: Suspension, now: float, *, failed: bool) -> None:
    """A flow ended by itself."""
    if left.step:
        tx.db.execute("DELETE FROM wait_group WHERE flow_id = ?", (flow_id,))
    if failed:
        close(tx, [flow_id], now)
    else:
        _drop(tx, flow_id, left, now)


def _begin(tx: Transaction, flows: Sequence[Flow], groups: dict[int, dict[str, int]], now: float) -> None:
    """The children of all of them, a run at a time."""
    by_run: defaultdict[int, list[Flow]] = defaultdict(list)
    for flow in flows:
        if flow.left.begun:
            by_run[flow.run_id].append(flow)
    for run_id, begin in by_run.items():
        run: Run = get_run(tx.db, run_id)
        tasks = [child.task for flow in begin for child in flow.left.begun]
        ids = iter(submit(tx, run, tasks, now, False, aside=True).ids)
        rows: list[tuple[Any, ...]] = []
        for flow in begin:
            id_, step = flow.id, flow.left.step
            group = groups[id_]
            rows += [(next(ids), id_, child.name, step, group.get(child.name)) for child in flow.left.begun]
        tx.db.executemany(CHILD, rows)


def _wait(tx: Transaction, id_: int, left: Suspension, groups: dict[str, int]) -> bool:
    """Whether some group has all that it needs already. Children of this step cannot have ended yet."""
    if left.step:
        tx.db.execute("DELETE FROM wait_group WHERE flow_id = ?", (id_,))
    new = {child.name for child in left.begun}
    old = [name for name in groups if name not in new]
    ended: defaultdict[int, list[bool]] = defaultdict(list)
    if old:
        tx.db.executemany(COUNTS_IN, [(groups[name], id_, name) for name in old])
        for name, _, _, state in tx.db.execute(NAMED, (id_, _json(old))):
            if State(state).ended:
                ended[groups[name]].append(state != State.SUCCEEDED)
    there = False
    for number, group in enumerate(left.waits_for):
        ends = ended[number]
        lacks = 0 if group.eager and any(ends) else group.need - len(ends)
        there = there or lacks <= 0
        tx.db.execute(GROUP, (id_, number, lacks, group.eager))
    return there


def _try_again(tx: Transaction, id_: int, names: Sequence[str]) -> None:
    if names:
        for _, child, cell, state in list(tx.db.execute(NAMED, (id_, _json(names)))):
            if state in (State.FAILED, State.CANCELLED):
                requeue(tx, child, cell, State(state), State.READY)


def _drop(tx: Transaction, id_: int, left: Suspension, now: float) -> None:
    if left.called_off or left.orphans:
        names = _json([*left.called_off, *left.orphans])
        call_off(tx, [child for _, child, _, _ in tx.db.execute(NAMED, (id_, names))], now)
    tx.db.executemany(ORPHAN, [(id_, name) for name in left.orphans])


def _cell(tx: Transaction, run_id: int, cell: int, model: str) -> int:
    """That of this model beside the cell, which may be itself."""
    lane, urgency, aside = next(iter(tx.db.execute("SELECT lane, urgency, aside FROM cell WHERE id = ?", (cell,))))
    return cell_id(tx.db, run_id, model, lane, urgency, aside, aside)


def _json(values: Sequence[str]) -> str:
    return orjson.dumps(list(values)).decode()
