"""The end of flows' steps: their children begin, and they wait for them, held by nobody. Many with a few statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from laneway.store.flows import Flow, Suspended, Suspension
from laneway.store.postgres.connection import json, rows, run
from laneway.store.postgres.flows import call_off, close
from laneway.store.postgres.places import cell_id
from laneway.store.postgres.runs import get_run, requeue_all
from laneway.store.postgres.submitting import submit
from laneway.store.postgres.transaction import Transaction
from laneway.task import State

STEPS = """
    INSERT INTO laneway.step (flow_id, number, at, heard, events)
    SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::float8[], %s::jsonb[], %s::integer[])
"""
CHILDREN = """
    INSERT INTO laneway.child (child_id, flow_id, name, step, wait_group)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::integer[], %s::integer[])
"""
GROUPS = """
    INSERT INTO laneway.wait_group (flow_id, number, lacks, eager)
    SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::integer[], %s::boolean[])
"""
NO_GROUPS = "DELETE FROM laneway.wait_group WHERE flow_id = ANY(%s)"
COUNTS_IN = """
    UPDATE laneway.child c SET wait_group = n.wait_group
    FROM unnest(%s::bigint[], %s::text[], %s::integer[]) AS n (flow_id, name, wait_group)
    WHERE c.flow_id = n.flow_id AND c.name = n.name
"""
NAMED = """
    SELECT c.flow_id, c.name, c.child_id, t.cell_id, t.state
    FROM unnest(%s::bigint[], %s::text[]) AS n (flow_id, name)
    JOIN laneway.child c ON c.flow_id = n.flow_id AND c.name = n.name JOIN laneway.task t ON t.id = c.child_id
"""
KNOWN_EVENTS = "SELECT flow_id, count(*) FROM laneway.event WHERE flow_id = ANY(%s) GROUP BY 1"
ORPHANS = """
    UPDATE laneway.child c SET step = -1 FROM unnest(%s::bigint[], %s::text[]) AS n (flow_id, name)
    WHERE c.flow_id = n.flow_id AND c.name = n.name
"""
CELLS = "SELECT id, lane, urgency, aside FROM laneway.cell WHERE id = ANY(%s)"


Names = Sequence[tuple[int, str]]  # (flow, child's name)


def suspend(tx: Transaction, flows: Sequence[Flow], now: float) -> dict[int, Suspended]:
    """Where they stand now, by id: ready again where what they would wait for is there already."""
    groups = {flow.id: flow.left.groups() for flow in flows}
    if later := [flow.id for flow in flows if flow.left.step]:
        run(tx.db, NO_GROUPS, (later,))
    _begin(tx, flows, groups, now)
    lefts = [(flow.id, flow.left) for flow in flows]
    steps = [(id_, left.step, left.at, json(list(left.heard)), left.events) for id_, left in lefts]
    run(tx.db, STEPS, _columns(steps))
    _try_again(tx, [(flow.id, name) for flow in flows for name in flow.left.again])
    go_on = _wait(tx, flows, groups)
    events = dict(rows(tx.db, KNOWN_EVENTS, ([flow.id for flow in flows],)))
    go_on |= {flow.id for flow in flows if events.get(flow.id, 0) > flow.left.events}
    for flow in flows:
        _drop(tx, flow.id, flow.left, now)
    cells = _cells(tx, flows)
    return {
        flow.id: Suspended(
            State.READY if flow.id in go_on else State.WAITING, cells[flow.run_id, flow.cell_id, flow.left.queue]
        )
        for flow in flows
    }


def finish(tx: Transaction, flow_id: int, left: Suspension, now: float, *, failed: bool) -> None:
    """A flow ended by itself."""
    if left.step:
        run(tx.db, NO_GROUPS, ([flow_id],))
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
        tasks = [child.task for flow in begin for child in flow.left.begun]
        ids = iter(submit(tx, get_run(tx.db, run_id), tasks, now, False, aside=True).ids)
        new: list[tuple[Any, ...]] = []
        for flow in begin:
            group = groups[flow.id]
            new += [(next(ids), flow.id, c.name, flow.left.step, group.get(c.name)) for c in flow.left.begun]
        run(tx.db, CHILDREN, _columns(new))


def _wait(tx: Transaction, flows: Sequence[Flow], groups: dict[int, dict[str, int]]) -> set[int]:
    """Those of which some group has all that it needs already. Children of this step cannot have ended yet."""
    old: list[tuple[int, str, int]] = []
    for flow in flows:
        new = {child.name for child in flow.left.begun}
        old += [(flow.id, name, number) for name, number in groups[flow.id].items() if name not in new]
    ended: defaultdict[tuple[int, int], list[bool]] = defaultdict(list)
    if old:
        run(tx.db, COUNTS_IN, _columns(old))
        for flow_id, name, _, _, state in _named(tx, [one[:2] for one in old]):
            if State(state).ended:
                ended[flow_id, groups[flow_id][name]].append(state != State.SUCCEEDED)
    kept: list[tuple[Any, ...]] = []
    for flow in flows:
        for number, group in enumerate(flow.left.waits_for):
            ends = ended[flow.id, number]
            lacks = 0 if group.eager and any(ends) else group.need - len(ends)
            kept.append((flow.id, number, lacks, group.eager))
    if kept:
        run(tx.db, GROUPS, _columns(kept))
    return {flow_id for flow_id, _, lacks, _ in kept if lacks <= 0}


def _try_again(tx: Transaction, names: Names) -> None:
    if names:
        again = [(id_, cell, State(state)) for _, _, id_, cell, state in _named(tx, names)]
        requeue_all(tx, [one for one in again if one[2] in (State.FAILED, State.CANCELLED)])


def _drop(tx: Transaction, id_: int, left: Suspension, now: float) -> None:
    if names := [(id_, name) for name in (*left.called_off, *left.orphans)]:
        call_off(tx, [child for _, _, child, _, _ in _named(tx, names)], now)
    if left.orphans:
        run(tx.db, ORPHANS, ([id_] * len(left.orphans), list(left.orphans)))


def _named(tx: Transaction, names: Names) -> list[tuple[Any, ...]]:
    return list(rows(tx.db, NAMED, _columns(names)))


def _cells(tx: Transaction, flows: Sequence[Flow]) -> dict[tuple[int, int, str], int]:
    """By run, present cell and model: that of this model beside it."""
    places = {(flow.run_id, flow.cell_id, flow.left.queue) for flow in flows}
    known = {id_: place for id_, *place in rows(tx.db, CELLS, ([cell for _, cell, _ in places],))}
    found = {}
    for run_id, cell, model in sorted(places):
        lane, urgency, aside = known[cell]
        found[run_id, cell, model] = cell_id(tx.db, run_id, model, lane, urgency, shelf=aside, aside=aside)
    return found


def _columns(table: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*table, strict=True)]
