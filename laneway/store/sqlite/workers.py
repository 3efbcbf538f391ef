"""Workers: leases, reaping, and each one's part of the limits."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import orjson

from laneway.store.interface import POISON_AFTER, Capacity, Grant, Reaped
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.runs import to_model
from laneway.store.sqlite.settling import fail
from laneway.store.sqlite.transaction import Transaction
from laneway.task import Failure, FailureClass, State

HELD = """
    SELECT t.id, t.run_id, t.cell_id, t.fence, t.losses, t.next_model, c.model
    FROM task t JOIN cell c ON c.id = t.cell_id
    WHERE t.worker_id = ? AND t.state = 'running'
"""
LOSE_ATTEMPTS = """
    UPDATE attempt SET outcome = 'lost' WHERE task_id = ? AND fence = ? AND outcome IS NULL
    RETURNING run_id, coalesce(reserved_cost, 0), started_at, account, cell_id,
              (SELECT spec_id FROM payload WHERE payload.task_id = attempt.task_id)
"""


def join(tx: Transaction, worker: str, lease: float, now: float) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO worker (id, host, pid, joined_at, heartbeat_at, lease_until) VALUES (?, ?, ?, ?, ?, ?)",
        (worker, socket.gethostname(), os.getpid(), now, now, now + lease),
    )


def heartbeat(tx: Transaction, worker: str, lease: float, now: float) -> bool:
    tx.db.execute("UPDATE worker SET heartbeat_at = ?, lease_until = ? WHERE id = ?", (now, now + lease, worker))
    return tx.db.changes() == 1


def reap(tx: Transaction, worker: str, now: float, certainly_dead: Callable[[str], bool]) -> Reaped:
    me = next(
        iter(tx.db.execute("SELECT joined_at, lease_until - heartbeat_at FROM worker WHERE id = ?", (worker,))),
        None,
    )
    connected_a_lease = me is not None and now - me[0] >= me[1]
    dead = [
        other
        for other, lease_until in tx.db.execute("SELECT id, lease_until FROM worker WHERE id <> ?", (worker,))
        if certainly_dead(other) or (connected_a_lease and lease_until < now)
    ]
    returned = poisoned = 0
    for other in dead:
        back, bad = bury(tx, other, now)
        returned += back
        poisoned += bad
    return Reaped(tuple(dead), returned, poisoned)


def bury(tx: Transaction, worker: str, now: float, *, death: bool = True) -> tuple[int, int]:
    """Give back what the worker held, mark its open attempts lost, free its shares. (returned, poisoned)"""
    returned = poisoned = 0
    for id_, run, cell, fence, losses, next_model, model in list(tx.db.execute(HELD, (worker,))):
        for run_id, reserved, started_at, *where in list(tx.db.execute(LOSE_ATTEMPTS, (id_, fence))):
            tx.books.add(started_at, *where, reserved=-reserved, spent=reserved)
            tx.db.execute(
                "UPDATE run SET reserved = max(0, reserved - ?1), spent = spent + ?1 WHERE id = ?2",
                (reserved, run_id),
            )
        losses += death
        # A prompt cannot bring its worker down, it only happened to be in flight; a Python task can.
        poison = model == "" and losses >= POISON_AFTER
        cancelled = bool(scalar(tx.db, "SELECT cancel_requested FROM task WHERE id = ?", (id_,)))
        new = State.FAILED if poison else State.CANCELLED if cancelled else State.READY
        tx.db.execute("UPDATE task SET state = ?, worker_id = NULL, losses = ? WHERE id = ?", (new.value, losses, id_))
        tx.move(cell, State.RUNNING, new)
        if poison:
            message = f"{losses} workers died while they ran it"
            fail(tx, id_, Failure(FailureClass.POISON, "worker_died", message), now)
            poisoned += 1
        elif cancelled:
            fail(tx, id_, Failure(FailureClass.REQUEST, "cancelled", "cancelled while it ran"), now)
        else:
            if next_model is not None:
                to_model(tx, id_, run, cell, new, next_model, by_hand=True)
            returned += 1
    tx.db.execute("DELETE FROM grant_share WHERE worker_id = ?", (worker,))
    tx.db.execute("DELETE FROM worker WHERE id = ?", (worker,))
    return returned, poisoned


def renew_grant(
    tx: Transaction, resource: str, worker: str, capacity: Capacity, demand: int, now: float, lease: float
) -> Grant:
    """Parts in proportion to demand, out of what the others' valid grants leave free."""
    others = list(
        tx.db.execute(
            "SELECT demand, share, coalesce(slots, 0) FROM grant_share"
            " WHERE resource = ? AND worker_id <> ? AND valid_until > ?",
            (resource, worker, now),
        )
    )
    wanted = max(demand, 0)
    all_demand = wanted + sum(d for d, _, _ in others)
    if not others:
        fraction = 1.0
    elif all_demand == 0:
        fraction = 1.0 / (len(others) + 1)
    else:
        fraction = wanted / all_demand
    share = max(0.0, min(fraction, 1.0 - sum(s for _, s, _ in others)))
    slots = None
    if capacity.slots is not None:
        free = capacity.slots - sum(n for _, _, n in others)
        fair = round(capacity.slots * fraction)
        slots = max(0, min(max(fair, 1 if wanted else 0), free))
    grant = Grant(share, slots, now + lease)
    tx.db.execute(
        "INSERT OR REPLACE INTO grant_share (resource, worker_id, demand, share, slots, valid_until)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (resource, worker, wanted, share, slots, grant.valid_until),
    )
    return grant


def save_state(tx: Transaction, name: str, content: object, now: float) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO state (name, saved_at, content) VALUES (?, ?, ?)",
        (name, now, orjson.dumps(content).decode()),
    )
