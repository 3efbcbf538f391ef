"""Runs and intake: taking tasks in, sealing a submission, and what a re-run keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apsw
import orjson

from laneway.errors import NotFoundError
from laneway.store.asking import wait_of
from laneway.store.keeping import answers_pruned
from laneway.store.runs import Run, Sealed, Submitted
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.earlier import Earlier, over
from laneway.store.sqlite.flows import close
from laneway.store.sqlite.pruning import is_pruned, pruned
from laneway.store.sqlite.transaction import Transaction
from laneway.store.steering import keeping_hands
from laneway.store.views import NO_KIND
from laneway.task import BY_HAND, NEW_FLOW, NewTask, Route, State, is_flow

RUN = """
    SELECT id, identity, generation, sealed, created_at, cursor, offset, max_cost, spent, spent - budget_base, info
    FROM run
"""
_TASK_COLUMNS = (
    "id, run_id, key, generation, hash, cell_id, state, due_at, wake_at, wait_reason, input_tokens, output_tokens,"
    " twin_id"
)
_INSERT_TASK = f"INSERT INTO task ({_TASK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_PAYLOAD = """
    INSERT INTO payload (task_id, submitted_at, deadline, spec_id, route_id, tags, team, body, record, parent_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_KNOWN = """
    SELECT key, id, generation, hash, state, cell_id FROM task
    WHERE run_id = ? AND key IN (SELECT value FROM json_each(?)) AND generation > 0 ORDER BY generation
"""
_REQUEUE = """
    UPDATE task SET state = ?, attempts = 0, refusals = 0, losses = 0, wake_at = NULL, wait_reason = NULL,
           result_seq = NULL, cancel_requested = 0, twin_id = NULL, begun_at = NULL
    WHERE id = ?
"""
_HELD = """
    SELECT cell_id, wake_at IS NOT NULL OR twin_id IS NOT NULL, count(*) FROM task
    WHERE id BETWEEN ? AND ? AND run_id = ? AND state = 'triaging' GROUP BY 1, 2
"""
_OPEN = """
    UPDATE task SET
        state = CASE WHEN wake_at IS NULL AND twin_id IS NULL THEN 'ready' ELSE 'waiting' END,
        wait_reason = CASE WHEN twin_id IS NOT NULL THEN 'shared' WHEN wake_at IS NOT NULL
                           THEN coalesce(wait_reason, 'scheduled') END,
        wake_at = CASE WHEN twin_id IS NOT NULL THEN 0 WHEN wait_reason = 'triage' THEN ? + wake_at ELSE wake_at END
    WHERE id BETWEEN ? AND ? AND run_id = ? AND state = 'triaging'
"""
_WAIT_ON = "UPDATE task SET wake_at = ? WHERE id = ? AND state = 'waiting' AND wait_reason = 'triage'"
_ASKED = """
    SELECT 1 FROM question q JOIN task t ON t.id = q.asked_in
    WHERE q.task_id = ? AND t.state NOT IN ('succeeded', 'failed', 'cancelled') LIMIT 1
"""
_LEFT = """
    run_id = ? AND key IS NOT NULL AND generation < ?
    AND cell_id NOT IN (SELECT id FROM cell WHERE run_id = ? AND aside)
"""
_REPLACED = "SELECT id FROM run WHERE identity = ?1 || ' (replaced ' || id || ')'"  # by `fresh`
SEAL_CHUNK = 2_000  # tasks in one commit: whoever else writes, an urgent claim even, waits no longer than for one


def run_of(row: Sequence[Any]) -> Run:
    return Run(*(*row[:3], bool(row[3]), *row[4:10], orjson.loads(row[10])))


def find_run(db: apsw.Connection, identity: str) -> Run | None:
    for row in db.execute(f"{RUN} WHERE identity = ?", (identity,)):
        return run_of(row)
    return None


def get_run(db: apsw.Connection, run_id: int) -> Run:
    for row in db.execute(f"{RUN} WHERE id = ?", (run_id,)):
        return run_of(row)
    raise NotFoundError(f"there is no run {run_id}", hint="`laneway status` lists the runs of this store")


def list_runs(db: apsw.Connection, limit: int) -> list[Run]:
    return [run_of(row) for row in db.execute(f"{RUN} ORDER BY id DESC LIMIT ?", (limit,))]


def open_run(
    tx: Transaction,
    identity: str,
    info: Mapping[str, Any],
    max_cost: float | None,
    now: float,
    fresh: bool,
    join: bool = False,
) -> Run:
    known = find_run(tx.db, identity)
    if known and join:
        return known
    text = orjson.dumps(dict(info)).decode()
    if known and fresh:
        tx.db.execute("UPDATE run SET identity = ? WHERE id = ?", (f"{identity} (replaced {known.id})", known.id))
        known = None
    if known:
        tx.db.execute(
            "UPDATE run SET generation = generation + 1, sealed = 0, max_cost = ?, info = ? WHERE id = ?",
            (max_cost, text, known.id),
        )
        return get_run(tx.db, known.id)
    seq = tx.last_seq()
    tx.db.execute(
        "INSERT INTO run (identity, generation, sealed, created_at, first_seq, cursor, offset, max_cost, info)"
        " VALUES (?, 1, 0, ?, ?, ?, 0, ?, ?)",
        (identity, now, seq, seq, max_cost, text),
    )
    return get_run(tx.db, tx.db.last_insert_rowid())


def end_budget(tx: Transaction, run_id: int) -> None:
    tx.db.execute("UPDATE run SET budget_base = spent WHERE id = ?", (run_id,))


def save_cursor(tx: Transaction, run_id: int, cursor: int, offset: int) -> None:
    tx.db.execute("UPDATE run SET cursor = ?, offset = ? WHERE id = ?", (cursor, offset, run_id))


def submit(
    tx: Transaction, run: Run, tasks: Sequence[NewTask], now: float, held: bool, *, aside: bool = False
) -> Submitted:
    """``aside``: triage's own questions and what flows begin, which no count or result of the run holds."""
    done = Submitted()
    places = Places(tx.db, run.id, aside=aside)
    known = _known(tx.db, run, tasks)
    earlier = Earlier(tx.db, tasks, now)
    next_id = int(scalar(tx.db, "SELECT coalesce(max(id), 0) FROM task")) + 1
    rows: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    for position, task in enumerate(tasks):
        digest = task.hash
        here: _Known | None = None
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
            _keep(tx, run, here, task, places, done)
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
            known.setdefault(task.key, []).append(_Known(next_id, run.generation, digest, state, cell))
        next_id += 1
    tx.db.executemany(_INSERT_TASK, rows)
    tx.db.executemany(_INSERT_PAYLOAD, payloads)
    return done


def named(db: apsw.Connection, run: Run, keys: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    rows = db.execute(_KNOWN, (run.id, orjson.dumps(list(keys)).decode()))
    return {key: (id_, hash_) for key, id_, _, hash_, _, _ in rows}


class _Known:
    """A task that the run has already."""

    __slots__ = ("cell", "generation", "hash", "id", "state")

    def __init__(self, id_: int, generation: int, hash_: bytes, state: State, cell: int) -> None:
        self.id, self.generation, self.hash, self.state, self.cell = id_, generation, hash_, state, cell


def _known(db: apsw.Connection, run: Run, tasks: Sequence[NewTask]) -> dict[str, list[_Known]]:
    keys = [task.key for task in tasks if task.key is not None]
    found: dict[str, list[_Known]] = {}
    if keys:
        for key, id_, generation, hash_, state, cell in db.execute(_KNOWN, (run.id, orjson.dumps(keys).decode())):
            found.setdefault(key, []).append(_Known(id_, generation, hash_, State(state), cell))
    return found


def _keep(tx: Transaction, run: Run, here: _Known, task: NewTask, places: Places, done: Submitted) -> None:
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
    route = places.keeping_hands(here.id, task.route)
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


def _asks_again(tx: Transaction, here: _Known, task: NewTask, now: float) -> bool:
    """Whether a task that is kept still waits for the classifier, and no question about it is on its way any more. Its
    wait begins anew."""
    if task.verdict_within is None or here.state is not State.WAITING:
        return False
    tx.db.execute(_WAIT_ON, (now + task.verdict_within, here.id))
    return tx.db.changes() > 0 and scalar(tx.db, _ASKED, (here.id,)) is None


class Places:
    """Ids of cells and documents, made on first use. For one transaction only."""

    def __init__(self, db: apsw.Connection, run_id: int, *, aside: bool = False) -> None:
        self._db = db
        self._aside = aside
        self._run_id = run_id
        self._cells: dict[tuple[str, str, int], int] = {}
        self._flows: dict[int, str] = {}  # by cell: under which model its flows are queued
        self._documents: dict[int, tuple[object, int]] = {}
        self._hands: dict[int, Route | None] = {}  # stored routes of which something was set by hand
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

    def cell(self, route: Route, model: str | None = None) -> int:
        place = (route.model if model is None else model, route.lane, int(route.urgency))
        if place not in self._cells:
            self._cells[place] = cell_id(self._db, self._run_id, *place, shelf=int(self._aside), aside=int(self._aside))
        return self._cells[place]

    def again(self, route: Route, cell: int) -> int:
        """Of a task that is taken in again: a flow that has begun stays among those that have."""
        if route.model != NEW_FLOW:
            return self.cell(route)
        if cell not in self._flows:
            model = str(scalar(self._db, "SELECT model FROM cell WHERE id = ?", (cell,)))
            self._flows[cell] = model if is_flow(model) else NEW_FLOW
        return self.cell(route, self._flows[cell])

    def document(self, thing: Any) -> int:
        """The id of a Route's or Spec's stored form."""
        known = self._documents.get(id(thing))
        if known is None:
            content = orjson.dumps(thing.as_json(), option=orjson.OPT_SORT_KEYS)
            self._db.execute("INSERT INTO document (content) VALUES (?) ON CONFLICT DO NOTHING", (content,))
            number = int(scalar(self._db, "SELECT id FROM document WHERE content = ?", (content,)))
            known = self._documents[id(thing)] = (thing, number)
        return known[1]


def cell_id(
    db: apsw.Connection, run_id: int, model: str, lane: str, urgency: int, shelf: int = 0, aside: int = 0
) -> int:
    place = (run_id, model, lane, urgency, shelf)
    where = "run_id = ? AND model = ? AND lane = ? AND urgency = ? AND shelf = ?"
    found = scalar(db, f"SELECT id FROM cell WHERE {where}", place)
    if found is None:
        columns = "run_id, model, lane, urgency, shelf, aside"
        db.execute(f"INSERT INTO cell ({columns}) VALUES (?, ?, ?, ?, ?, ?)", (*place, aside))
        found = db.last_insert_rowid()
    return int(found)


def seal(tx: Transaction, run: Run, now: float) -> Sealed:
    """Drop what the submission did not name, take back what it named again, and ready what had failed."""
    db = tx.db
    shelf = cell_id(db, run.id, "", "", 0, shelf=1)
    left = _drop(tx, shelf, _LEFT, (run.id, run.generation, run.id), now)
    dropped, rewrite = len(left), left.count(State.SUCCEEDED)
    if run.generation == 1:
        _end_replaced(tx, run, now)
    for id_, cell, state in list(_of_submission(db, run, "cell_id = ?", (shelf,))):
        route_id = scalar(db, "SELECT route_id FROM payload WHERE task_id = ?", (id_,))
        content = scalar(db, "SELECT content FROM document WHERE id = ?", (route_id,))
        home = Places(db, run.id).cell(Route.from_json(orjson.loads(content)))
        db.execute("UPDATE task SET cell_id = ?, cancel_requested = 0, failure_id = NULL WHERE id = ?", (home, id_))
        tx.count(cell, State(state), -1)
        tx.count(home, State(state), 1)
        rewrite += state == State.SUCCEEDED
    for id_, cell, state in list(_of_submission(db, run, "state IN ('failed', 'cancelled')", ())):
        if not is_pruned(db, id_):  # since it was named; there is nothing to send
            requeue(tx, id_, cell, State(state), State.READY)
    for id_, _, _ in list(_of_submission(db, run, "state IN ('ready', 'waiting') AND begun_at IS NOT NULL", ())):
        db.execute("UPDATE task SET begun_at = NULL WHERE id = ?", (id_,))  # while nobody worked, no time passed
    db.execute("UPDATE run SET sealed = 1 WHERE id = ?", (run.id,))
    if rewrite and (gone := pruned(db, run.id, run.generation)):
        raise answers_pruned(gone)
    if rewrite:
        db.execute("UPDATE run SET cursor = first_seq, offset = 0 WHERE id = ?", (run.id,))
    return Sealed(opened=0, dropped=dropped, rewrite=bool(rewrite))


def _drop(tx: Transaction, shelf: int, where: str, bindings: tuple[Any, ...], now: float) -> list[State]:
    """Let tasks leave their run: what waits is cancelled, what runs is asked to. Their states before."""
    sql = f"SELECT id, cell_id, state FROM task WHERE {where} AND cell_id <> ?"
    states = []
    rows = list(tx.db.execute(sql, (*bindings, shelf)))
    for id_, cell, state in rows:
        old = State(state)
        new = old if old.ended or old is State.RUNNING else State.CANCELLED
        tx.db.execute(
            "UPDATE task SET cell_id = ?, state = ?, cancel_requested = ?, failure_id = ? WHERE id = ?",
            (shelf, new.value, int(old is State.RUNNING), NO_KIND, id_),
        )
        tx.count(cell, old, -1)
        tx.count(shelf, new, 1)
        states.append(old)
    close(tx, [id_ for id_, _, _ in rows], now)
    return states


def _end_replaced(tx: Transaction, run: Run, now: float) -> None:
    """What a run that this one replaces had still to do would be paid beside this one's."""
    for (id_,) in list(tx.db.execute(_REPLACED, (run.identity,))):
        shelf = cell_id(tx.db, id_, "", "", 0, shelf=1)
        _drop(tx, shelf, "run_id = ? AND state IN ('triaging', 'ready', 'running', 'waiting')", (id_,), now)


def _of_submission(
    db: apsw.Connection, run: Run, where: str, bindings: tuple[Any, ...]
) -> Iterator[tuple[int, int, str]]:
    sql = f"SELECT id, cell_id, state FROM task WHERE run_id = ? AND key IS NOT NULL AND generation = ? AND {where}"
    yield from db.execute(sql, (run.id, run.generation, *bindings))


def held_range(db: apsw.Connection, run: Run) -> tuple[int, int] | None:
    """The lowest and highest id among the run's tasks that are still held."""
    for low, high in db.execute(
        "SELECT min(id), max(id) FROM task WHERE run_id = ? AND key IS NOT NULL AND state = 'triaging'",
        (run.id,),
    ):
        return None if low is None else (low, high)
    return None


def open_held(tx: Transaction, run: Run, low: int, high: int, now: float) -> int:
    """Ready the held tasks with ids from ``low`` to ``high``; those with a time or a twin to wait for wait."""
    opened = 0
    for cell, waits, n in list(tx.db.execute(_HELD, (low, high, run.id))):
        tx.move(cell, State.TRIAGING, State.WAITING if waits else State.READY, n)
        opened += n
    tx.db.execute(_OPEN, (now, low, high, run.id))
    return opened


def abandon(tx: Transaction, run: Run) -> None:
    held = "run_id = ? AND key IS NOT NULL AND generation = ? AND state = 'triaging'"
    where = (run.id, run.generation)
    for cell, n in list(tx.db.execute(f"SELECT cell_id, count(*) FROM task WHERE {held} GROUP BY 1", where)):
        tx.count(cell, State.TRIAGING, -n)
    tx.db.execute(f"DELETE FROM question WHERE asked_in IN (SELECT id FROM task WHERE {held})", where)
    tx.db.execute(f"DELETE FROM payload WHERE task_id IN (SELECT id FROM task WHERE {held})", where)
    tx.db.execute(f"DELETE FROM task WHERE {held}", where)
    if (
        run.generation == 1
        and scalar(tx.db, "SELECT id FROM task WHERE run_id = ? AND key IS NOT NULL LIMIT 1", (run.id,)) is None
    ):
        tx.flush()
        tx.db.execute("DELETE FROM cell WHERE run_id = ?", (run.id,))
        tx.db.execute("DELETE FROM run WHERE id = ?", (run.id,))
        replaced = f"UPDATE run SET identity = ?1 WHERE id = (SELECT max(id) FROM ({_REPLACED}))"
        tx.db.execute(replaced, (run.identity,))  # with what was paid for in it


def requeue(tx: Transaction, task_id: int, cell: int, old: State, new: State) -> None:
    """An ended task starts over; its attempts stay in the ledger."""
    tx.db.execute("DELETE FROM result WHERE seq = (SELECT result_seq FROM task WHERE id = ?)", (task_id,))
    tx.db.execute("UPDATE payload SET complaint = NULL WHERE task_id = ?", (task_id,))
    tx.db.execute("DELETE FROM step WHERE flow_id = ?", (task_id,))  # a flow hears of its children anew
    tx.db.execute("DELETE FROM wait_group WHERE flow_id = ?", (task_id,))
    tx.db.execute(_REQUEUE, (new.value, task_id))
    tx.move(cell, old, new)
    if model := scalar(tx.db, "SELECT next_model FROM task WHERE id = ?", (task_id,)):
        run_id = int(scalar(tx.db, "SELECT run_id FROM task WHERE id = ?", (task_id,)))
        to_model(tx, task_id, run_id, cell, new, model, by_hand=True)


def to_model(
    tx: Transaction, task_id: int, run_id: int, cell: int, state: State, model: str, *, by_hand: bool = False
) -> None:
    """Go on with another model; one that somebody chose by hand has all its tries."""
    lane, urgency, aside = next(iter(tx.db.execute("SELECT lane, urgency, aside FROM cell WHERE id = ?", (cell,))))
    target = cell_id(tx.db, run_id, model, lane, urgency, aside, aside)
    tx.db.execute(
        f"UPDATE task SET cell_id = ?, next_model = NULL{', attempts = 0' * by_hand} WHERE id = ?", (target, task_id)
    )
    tx.count(cell, state, -1)
    tx.count(target, state, 1)
