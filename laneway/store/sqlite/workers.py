"""Workers: leases, reaping, and each one's part of the limits."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from math import ceil

import orjson

from laneway.store.grants import Capacity, Demand, Grant, Others, divide
from laneway.store.sqlite import failing, flows, queue
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.results import fail
from laneway.store.sqlite.runs import to_model
from laneway.store.sqlite.transaction import Transaction
from laneway.store.workers import POISON_AFTER, Reaped
from laneway.task import Failure, FailureClass, State, needs_account

HELD = """
    SELECT t.id, t.run_id, t.cell_id, t.fence, t.losses, t.next_model, c.model
    FROM task t JOIN cell c ON c.id = t.cell_id
    WHERE t.worker_id = ? AND t.state = 'running'
"""
ANSWERS_TO = "SELECT id FROM task WHERE answers_to = ? AND state IN ('ready', 'running', 'waiting')"
OTHERS = """
    SELECT count(*), coalesce(sum(immediate), 0.0), coalesce(sum(urgent), 0.0),
           coalesce(sum(coalesce(standard, demand)), 0.0), coalesce(sum(relaxed), 0.0),
           coalesce(sum(share), 0.0), coalesce(sum(slots), 0), coalesce(sum(lacks_share), 0.0),
           coalesce(sum(lacks_slots), 0)
    FROM grant_share WHERE resource = ? AND worker_id <> ?
"""
KEEP = """
    INSERT OR REPLACE INTO grant_share (
        resource, worker_id, demand, immediate, urgent, standard, relaxed,
        share, slots, lacks_share, lacks_slots, valid_until
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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
    returned = poisoned = called_off = 0
    for other in dead:
        called_off += queue.cancel(tx, [id_ for (id_,) in tx.db.execute(ANSWERS_TO, (other,))], now)
        back, bad = bury(tx, other, now, gone=certainly_dead(other))
        returned += back
        poisoned += bad
    return Reaped(tuple(dead), returned, poisoned, called_off)


def bury(tx: Transaction, worker: str, now: float, *, death: bool = True, gone: bool = True) -> tuple[int, int]:
    """Give back what the worker held, and mark its open attempts lost. ``gone``: it certainly makes no more calls, so
    its parts are free; else they are when its grants have ended. (returned, poisoned)"""
    returned = poisoned = 0
    ended: list[int] = []
    for id_, run, cell, fence, losses, next_model, model in list(tx.db.execute(HELD, (worker,))):
        for run_id, reserved, started_at, *where in list(tx.db.execute(LOSE_ATTEMPTS, (id_, fence))):
            tx.books.add(started_at, *where, reserved=-reserved, spent=reserved)
            tx.db.execute(
                "UPDATE run SET reserved = max(0, reserved - ?1), spent = spent + ?1 WHERE id = ?2",
                (reserved, run_id),
            )
        losses += death
        # A prompt cannot bring its worker down, it only happened to be in flight; a Python task can.
        poison = not needs_account(model) and losses >= POISON_AFTER
        cancelled = bool(scalar(tx.db, "SELECT cancel_requested FROM task WHERE id = ?", (id_,)))
        new = State.FAILED if poison else State.CANCELLED if cancelled else State.READY
        tx.db.execute("UPDATE task SET state = ?, worker_id = NULL, losses = ? WHERE id = ?", (new.value, losses, id_))
        tx.move(cell, State.RUNNING, new)
        if poison:
            poisoned_by = Failure(FailureClass.POISON, "worker_died", f"{losses} workers died while they ran it")
            fail(tx, id_, poisoned_by, now)
            failing.name(tx, [(id_, poisoned_by)])
            poisoned += 1
            ended.append(id_)
        elif cancelled:
            fail(tx, id_, Failure(FailureClass.REQUEST, "cancelled", "cancelled while it ran"), now)
            ended.append(id_)
        else:
            if next_model is not None:
                to_model(tx, id_, run, cell, new, next_model, by_hand=True)
            returned += 1
    flows.tell(tx, ended, now)
    if gone:
        tx.db.execute("DELETE FROM grant_share WHERE worker_id = ?", (worker,))
    tx.db.execute("DELETE FROM worker WHERE id = ?", (worker,))
    return returned, poisoned


def renew_grants(
    tx: Transaction, worker: str, asks: Mapping[str, tuple[Capacity, Demand]], now: float, lease: float
) -> dict[str, Grant]:
    grants = {}
    for resource, (capacity, demand) in sorted(asks.items()):
        tx.db.execute("DELETE FROM grant_share WHERE resource = ? AND valid_until <= ?", (resource, now))
        workers, *calls, share, slots, lacks_share, lacks_slots = next(tx.db.execute(OTHERS, (resource, worker)))
        others = Others(workers, (calls[0], calls[1], calls[2], calls[3]), share, slots, lacks_share, lacks_slots)
        part = divide(capacity, demand, others, worker, now)
        held = (part.reserved_share, part.reserved_slots, part.lacks_share, part.lacks_slots)
        tx.db.execute(KEEP, (resource, worker, ceil(sum(demand.calls)), *demand.calls, *held, now + lease))
        made = scalar(tx.db, "SELECT calls FROM calls_made WHERE resource = ?", (resource,)) or 0
        if demand.made:
            made += demand.made
            tx.db.execute("INSERT OR REPLACE INTO calls_made (resource, calls) VALUES (?, ?)", (resource, made))
        grants[resource] = Grant(part.share, part.slots, now + lease, part.lacks, made)
    return grants


def save_state(tx: Transaction, name: str, content: object, now: float) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO state (name, saved_at, content) VALUES (?, ?, ?)",
        (name, now, orjson.dumps(content).decode()),
    )


def drop_states(tx: Transaction, prefix: str, before: float) -> int:
    sql = "DELETE FROM state WHERE name BETWEEN ? AND ? AND saved_at < ?"
    tx.db.execute(sql, (prefix, prefix + "\U0010ffff", before))
    return tx.db.changes()
