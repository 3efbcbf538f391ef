"""Taking tasks in: what is new, what is known, and what an earlier task does already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import orjson

from laneway.store.asking import wait_of
from laneway.store.runs import Run, Submitted
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.earlier import Earlier, over
from laneway.store.sqlite.places import Places
from laneway.store.sqlite.transaction import Transaction
from laneway.store.steering import keeping_hands
from laneway.task import BY_HAND, NewTask, Route, State

_TASK_COLUMNS = (
    "id, run_id, key, generation, hash, cell_id, state, due_at, wake_at, wait_reason, input_tokens, output_tokens,"
    " twin_id, answers_to"
)
_INSERT_TASK = f"INSERT INTO task ({_TASK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_PAYLOAD = """
    INSERT INTO payload (task_id, submitted_at, deadline, spec_id, route_id, tags, team, body, record, parent_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
KNOWN = """
    SELECT key, id, generation, hash, state, cell_id FROM task
    WHERE run_id = ? AND key IN (SELECT value FROM json_each(?)) AND generation > 0 ORDER BY generation
"""
_WAIT_ON = "UPDATE task SET wake_at = ? WHERE id = ? AND state = 'waiting' AND wait_reason = 'triage'"
_ASKED = """
    SELECT 1 FROM question q JOIN task t ON t.id = q.asked_in
    WHERE q.task_id = ? AND t.state NOT IN ('succeeded', 'failed', 'cancelled') LIMIT 1
"""


def submit(
    tx: Transaction, run: Run, tasks: Sequence[NewTask], now: float, held: bool, *, aside: bool = False
) -> Submitted:
    """``aside``: triage's own questions and what flows begin, which no count or result of the run holds."""
    done = Submitted()
    places = Places(tx.db, run.id, aside=aside)
    routes = Routes(tx.db)
    known = _known(tx.db, run, tasks)
    earlier = Earlier(tx.db, tasks, now)
    next_id = int(scalar(tx.db, "SELECT coalesce(max(id), 0) FROM task")) + 1
    rows: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    for position, task in enumerate(tasks):
        digest = task.hash
        here: Known | None = None
        if task.key is not None and (found := known.get(task.key)):
            here = next((k for k in found if k.generation == run.generation), None)
            if here and not held and over(tx.db, here.id, here.state, task.dedupe_for, now):
                tx.db.execute("UPDATE task SET generation = -id WHERE id = ?", (here.id,))  # its key is free again
                found.remove(here)
                here = None
            if here and here.hash != digest:
                done.conflicts.append(position)
                done.ids.append(here.id)
                continue
            if here:
                done.duplicates += 1
                done.ids.append(here.id)
                continue
            here = next((k for k in reversed(found) if k.hash == digest), None)
        if here:
            _keep(tx, run, here, task, places, routes, done)
            if _asks_again(tx, here, task, now):
                done.waiting.append(position)
            continue
        spec = places.document(task.spec)
        twin = earlier.of(task, digest, spec) if task.wake_at is None or not held else None
        done.shared += twin is not None
        if twin is not None and not held:
            done.ids.append(twin)
            continue
        reason, wake_at = wait_of(task, now, held=held)
        state = State.TRIAGING if held else State.WAITING if wake_at is not None else State.READY
        cell = places.cell(task.route)
        rows.append(
            (
                next_id,
                run.id,
                task.key,
                run.generation,
                digest,
                cell,
                state.value,
                task.due_at,
                wake_at,
                reason,
                task.input_tokens,
                task.output_tokens,
                twin,
                task.answers_to,
            )
        )
        payloads.append(
            (
                next_id,
                now,
                task.deadline,
                spec,
                places.document(task.route),
                orjson.dumps(task.tags).decode() if task.tags else None,
                task.team,
                task.body,
                task.record,
                task.parent,
            )
        )
        tx.count(cell, state, 1)
        done.new += 1
        done.ids.append(next_id)
        if task.verdict_within is not None and twin is None:
            done.waiting.append(position)
        if task.key is not None:
            known.setdefault(task.key, []).append(Known(next_id, run.generation, digest, state, cell))
        next_id += 1
    tx.db.executemany(_INSERT_TASK, rows)
    tx.db.executemany(_INSERT_PAYLOAD, payloads)
    return done


def named(db: apsw.Connection, run: Run, keys: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    rows = db.execute(KNOWN, (run.id, orjson.dumps(list(keys)).decode()))
    return {key: (id_, hash_) for key, id_, _, hash_, _, _ in rows}


class Known:
    """A task that the run has already."""

    __slots__ = ("cell", "generation", "hash", "id", "state")

    def __init__(self, id_: int, generation: int, hash_: bytes, state: State, cell: int) -> None:
        self.id, self.generation, self.hash, self.state, self.cell = id_, generation, hash_, state, cell


def _known(db: apsw.Connection, run: Run, tasks: Sequence[NewTask]) -> dict[str, list[Known]]:
    keys = [task.key for task in tasks if task.key is not None]
    found: dict[str, list[Known]] = {}
    if keys:
        for key, id_, generation, hash_, state, cell in db.execute(KNOWN, (run.id, orjson.dumps(keys).decode())):
            found.setdefault(key, []).append(Known(id_, generation, hash_, State(state), cell))
    return found


def _keep(
    tx: Transaction, run: Run, here: Known, task: NewTask, places: Places, routes: Routes, done: Submitted
) -> None:
    """The same work as in an earlier submission: it stays; what has not ended takes the new route."""
    tx.db.execute("UPDATE task SET generation = ? WHERE id = ?", (run.generation, here.id))
    here.generation = run.generation
    done.ids.append(here.id)
    if here.state in (State.FAILED, State.CANCELLED):
        done.again += 1
    else:
        done.kept += 1
    if here.state in (State.SUCCEEDED, State.RUNNING):
        return
    route = routes.keeping_hands(here.id, task.route)
    cell = places.again(route, here.cell)
    if cell != here.cell:
        due_at = "due_at" if route.reasons.get("urgency") == BY_HAND else "?2"
        tx.db.execute(f"UPDATE task SET cell_id = ?1, due_at = {due_at} WHERE id = ?3", (cell, task.due_at, here.id))
        tx.count(here.cell, here.state, -1)
        tx.count(cell, here.state, 1)
    tx.db.execute(
        "UPDATE payload SET route_id = ?, spec_id = ?, record = ?, body = iif(length(body), body, ?) WHERE task_id = ?",
        (places.document(route), places.document(task.spec), task.record, task.body, here.id),
    )


def _asks_again(tx: Transaction, here: Known, task: NewTask, now: float) -> bool:
    """Whether a task that is kept still waits for the classifier, and no question about it is on its way any more. Its
    wait begins anew."""
    if task.verdict_within is None or here.state is not State.WAITING:
        return False
    tx.db.execute(_WAIT_ON, (now + task.verdict_within, here.id))
    return tx.db.changes() > 0 and scalar(tx.db, _ASKED, (here.id,)) is None


class Routes:
    """The stored routes of tasks, of which something may have been set by hand."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._hands: dict[int, Route | None] = {}  # those of which something was
        self._merged: dict[tuple[int, int], tuple[Route, Route]] = {}

    def keeping_hands(self, task_id: int, route: Route) -> Route:
        """A task's new route with what somebody set by hand on its present one; only what the command pins goes
        before that."""
        number = int(scalar(self._db, "SELECT route_id FROM payload WHERE task_id = ?", (task_id,)))
        if number not in self._hands:
            content = scalar(self._db, "SELECT content FROM document WHERE id = ?", (number,))
            stored = Route.from_json(orjson.loads(content))
            self._hands[number] = stored if BY_HAND in stored.reasons.values() else None
        stored_route = self._hands[number]
        if stored_route is None:
            return route
        if (number, id(route)) not in self._merged:
            self._merged[number, id(route)] = (route, keeping_hands(stored_route, route))
        return self._merged[number, id(route)][1]
