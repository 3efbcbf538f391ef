"""Runs: opening, sealing a submission, and what a re-run keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apsw
import orjson

from laneway.errors import NotFoundError
from laneway.store.keeping import answers_pruned
from laneway.store.runs import Run, Sealed
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.flows import close
from laneway.store.sqlite.places import Places, cell_id
from laneway.store.sqlite.pruning import is_pruned, pruned
from laneway.store.sqlite.transaction import Transaction
from laneway.store.views import NO_KIND
from laneway.task import Route, State

RUN = """
    SELECT id, identity, generation, sealed, created_at, cursor, offset, max_cost, spent, spent - budget_base, info
    FROM run
"""
_REQUEUE = """
    UPDATE task SET state = ?, attempts = 0, refusals = 0, losses = 0, wake_at = NULL, wait_reason = NULL,
           result_seq = NULL, cancel_requested = 0, twin_id = NULL, begun_at = NULL,
           answers_to = NULL
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
