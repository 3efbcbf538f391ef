"""Workers: leases, reaping, and each one's part of the limits."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from laneway.store.grants import Capacity, Demand, Grant, Others, divide
from laneway.store.postgres import failing, flows, queue
from laneway.store.postgres.connection import Db, first, json, rows, run, scalar
from laneway.store.postgres.results import fail
from laneway.store.postgres.runs import to_model
from laneway.store.postgres.transaction import Transaction
from laneway.store.workers import POISON_AFTER, Reaped
from laneway.task import Failure, FailureClass, State, needs_account

JOIN = """
    INSERT INTO laneway.worker (id, host, pid, joined_at, heartbeat_at, lease_until)
    VALUES (%(id)s, %(host)s, %(pid)s, %(now)s, %(now)s, %(until)s)
    ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid, joined_at = excluded.joined_at,
        heartbeat_at = excluded.heartbeat_at, lease_until = excluded.lease_until
"""
BEAT = """
    UPDATE laneway.worker SET heartbeat_at = %(now)s, lease_until = greatest(lease_until, %(until)s)
    WHERE id = %(id)s
"""
# Those whose lease has ended, for one who has been connected for a whole lease.
OVER = """
    SELECT o.id FROM laneway.worker o, laneway.worker me
    WHERE me.id = %(id)s AND o.id <> me.id AND o.lease_until < %(now)s
          AND %(now)s - me.joined_at >= me.lease_until - me.heartbeat_at
    ORDER BY o.id
"""
HELD = """
    SELECT t.id, t.run_id, t.cell_id, t.fence, t.losses, t.next_model, t.cancel_requested, c.model
    FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id
    WHERE t.worker_id = %s AND t.state = 'running' ORDER BY t.id FOR UPDATE OF t
"""
ANSWERS_TO = "SELECT id FROM laneway.task WHERE answers_to = %s AND state IN ('ready', 'running', 'waiting')"
LOSE = """
    UPDATE laneway.attempt a SET outcome = 'lost'
    FROM unnest(%s::bigint[], %s::bigint[]) AS h (id, fence), laneway.payload p
    WHERE a.task_id = h.id AND a.fence = h.fence AND a.outcome IS NULL AND p.task_id = a.task_id
    RETURNING a.run_id, coalesce(a.reserved_cost, 0), a.started_at, a.account, a.cell_id, p.spec_id
"""
GIVE_BACK = """
    UPDATE laneway.task t SET state = h.state, losses = h.losses, worker_id = NULL
    FROM unnest(%s::bigint[], %s::text[], %s::integer[]) AS h (id, state, losses) WHERE t.id = h.id
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(resource, 7263926)) FROM unnest(%s::text[]) AS r (resource)"
OTHERS = """
    SELECT r.resource, count(g.worker_id), coalesce(sum(g.immediate), 0), coalesce(sum(g.urgent), 0),
           coalesce(sum(g.standard), 0), coalesce(sum(g.relaxed), 0), coalesce(sum(g.share), 0),
           coalesce(sum(g.slots), 0)::bigint, coalesce(sum(g.lacks_share), 0),
           coalesce(sum(g.lacks_slots), 0)::bigint, coalesce(max(m.calls), 0)
    FROM unnest(%(resources)s::text[]) AS r (resource)
    LEFT JOIN laneway.grant_share g
        ON g.resource = r.resource AND g.worker_id <> %(worker)s AND g.valid_until > %(now)s
    LEFT JOIN laneway.calls_made m ON m.resource = r.resource
    GROUP BY r.resource
"""
KEEP = """
    INSERT INTO laneway.grant_share
    SELECT resource, %(worker)s, immediate, urgent, standard, relaxed, share, slots, lacks_share, lacks_slots, %(until)s
    FROM unnest(%(resources)s::text[], %(immediate)s::float8[], %(urgent)s::float8[], %(standard)s::float8[],
                %(relaxed)s::float8[], %(share)s::float8[], %(slots)s::bigint[], %(lacks_share)s::float8[],
                %(lacks_slots)s::bigint[])
         AS k (resource, immediate, urgent, standard, relaxed, share, slots, lacks_share, lacks_slots)
    ON CONFLICT (resource, worker_id) DO UPDATE SET
        immediate = excluded.immediate, urgent = excluded.urgent, standard = excluded.standard,
        relaxed = excluded.relaxed, share = excluded.share, slots = excluded.slots,
        lacks_share = excluded.lacks_share, lacks_slots = excluded.lacks_slots, valid_until = excluded.valid_until
"""
MADE = """
    INSERT INTO laneway.calls_made AS m (resource, calls) SELECT * FROM unnest(%s::text[], %s::bigint[])
    ON CONFLICT (resource) DO UPDATE SET calls = m.calls + excluded.calls
"""


# leases ---------------------------------------------------------------------------------------------------------------
def join(tx: Transaction, worker: str, lease: float, now: float) -> None:
    place = {"id": worker, "host": socket.gethostname(), "pid": os.getpid()}
    run(tx.db, JOIN, {**place, "now": now, "until": now + lease})


def heartbeat(db: Db, worker: str, lease: float, now: float) -> bool:
    return run(db, BEAT, {"id": worker, "now": now, "until": now + lease}).rowcount == 1


def any_over(db: Db, worker: str, now: float) -> bool:
    """Whether ``reap`` would find somebody."""
    return first(db, OVER, {"id": worker, "now": now}) is not None


def reap(tx: Transaction, worker: str, now: float) -> Reaped:
    dead = [id_ for (id_,) in rows(tx.db, f"{OVER} FOR UPDATE OF o SKIP LOCKED", {"id": worker, "now": now})]
    returned = poisoned = called_off = 0
    for other in dead:
        called_off += queue.cancel(tx, [id_ for (id_,) in rows(tx.db, ANSWERS_TO, (other,))], now)
        back, bad = bury(tx, other, now)
        returned += back
        poisoned += bad
    return Reaped(tuple(dead), returned, poisoned, called_off)


def bury(tx: Transaction, worker: str, now: float, *, death: bool = True) -> tuple[int, int]:
    """Give back what the worker held and mark its open attempts lost; its shares are free when its grants end, since it
    may only have been cut off, or at once when it leaves. (returned, poisoned)"""
    returned = poisoned = 0
    held = rows(tx.db, HELD, (worker,))
    for run_id, reserved, *call in rows(tx.db, LOSE, ([row[0] for row in held], [row[3] for row in held])):
        started_at, account, cell_id, spec_id = call
        tx.books.add(started_at, account, cell_id, spec_id, reserved=-reserved, spent=reserved)
        tx.spend(run_id, reserved=-reserved, spent=reserved)
    given: list[tuple[int, str, int]] = []
    for id_, _, cell, _, losses, _, cancelled, model in held:
        losses += death
        # A prompt cannot bring its worker down, it only happened to be in flight; a Python task can.
        poison = not needs_account(model) and losses >= POISON_AFTER
        new = State.FAILED if poison else State.CANCELLED if cancelled else State.READY
        given.append((id_, new.value, losses))
        tx.move(cell, State.RUNNING, new)
    if given:
        run(tx.db, GIVE_BACK, [list(column) for column in zip(*given, strict=True)])
    for (id_, run_id, cell, _, _, next_model, _, _), (_, state, losses) in zip(held, given, strict=True):
        if state == State.FAILED:
            poisoned_by = Failure(FailureClass.POISON, "worker_died", f"{losses} workers died while they ran it")
            fail(tx, id_, poisoned_by, now)
            failing.name(tx, [(id_, poisoned_by)])
            poisoned += 1
        elif state == State.CANCELLED:
            fail(tx, id_, Failure(FailureClass.REQUEST, "cancelled", "cancelled while it ran"), now)
        else:
            if next_model is not None:
                to_model(tx, id_, run_id, cell, State.READY, next_model, by_hand=True)
            returned += 1
    flows.tell(tx, [id_ for id_, state, _ in given if State(state).ended], now)
    run(tx.db, "DELETE FROM laneway.worker WHERE id = %s", (worker,))
    over = "DELETE FROM laneway.grant_share WHERE (worker_id = %s AND %s) OR valid_until <= %s"
    run(tx.db, over, (worker, not death, now))
    return returned, poisoned


def leave(tx: Transaction, worker: str, now: float) -> None:
    bury(tx, worker, now, death=False)


# shares ---------------------------------------------------------------------------------------------------------------
def renew_grants(
    tx: Transaction, worker: str, asks: Mapping[str, tuple[Capacity, Demand]], now: float, lease: float
) -> dict[str, Grant]:
    """One worker after another: each divides what it sees the others have."""
    resources = sorted(asks)
    run(tx.db, LOCK, (resources,))
    found = {row[0]: row[1:] for row in rows(tx.db, OTHERS, {"resources": resources, "worker": worker, "now": now})}
    kept: list[tuple[Any, ...]] = []
    grants = {}
    for resource in resources:
        capacity, demand = asks[resource]
        workers, *calls, share, slots, lacks_share, lacks_slots, made = found[resource]
        others = Others(workers, (calls[0], calls[1], calls[2], calls[3]), share, slots, lacks_share, lacks_slots)
        part = divide(capacity, demand, others, worker, now)
        held = (part.reserved_share, part.reserved_slots, part.lacks_share, part.lacks_slots)
        kept.append((*demand.calls, *held))
        grants[resource] = Grant(part.share, part.slots, now + lease, part.lacks, made + demand.made)
    if kept:
        names = ("immediate", "urgent", "standard", "relaxed", "share", "slots", "lacks_share", "lacks_slots")
        columns = dict(zip(names, map(list, zip(*kept, strict=True)), strict=True))
        run(tx.db, KEEP, {"resources": resources, "worker": worker, "until": now + lease, **columns})
    if called := {resource: asks[resource][1].made for resource in resources if asks[resource][1].made}:
        run(tx.db, MADE, (list(called), list(called.values())))
    return grants


def save_state(tx: Transaction, name: str, content: object, now: float) -> None:
    run(
        tx.db,
        "INSERT INTO laneway.state (name, saved_at, content) VALUES (%s, %s, %s::jsonb)"
        " ON CONFLICT (name) DO UPDATE SET saved_at = excluded.saved_at, content = excluded.content",
        (name, now, json(content)),
    )


def drop_states(tx: Transaction, prefix: str, before: float) -> int:
    sql = "DELETE FROM laneway.state WHERE name >= %s AND name < %s AND saved_at < %s"
    return run(tx.db, sql, (prefix, prefix + "\U0010ffff", before)).rowcount


def any_worker(db: Db, now: float) -> bool:
    """Whether somebody's lease holds."""
    return scalar(db, "SELECT 1 FROM laneway.worker WHERE lease_until >= %s LIMIT 1", (now,)) is not None
