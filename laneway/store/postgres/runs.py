"""Runs: opening, sealing a submission, and what a re-run keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from laneway.errors import NotFoundError
from laneway.store.keeping import answers_pruned
from laneway.store.postgres.connection import Db, first, json, rows, run, scalar
from laneway.store.postgres.flows import close
from laneway.store.postgres.places import Places, cell_id
from laneway.store.postgres.pruning import pruned, unpruned
from laneway.store.postgres.transaction import HORIZON, Transaction
from laneway.store.runs import Run, Sealed
from laneway.store.views import NO_KIND
from laneway.task import Route, State

RUN = """
    SELECT r.id, r.identity, r.generation, r.sealed, r.created_at, r.cursor, r."offset", r.max_cost, c.spent,
           c.spent - r.budget_base, r.info
    FROM laneway.run r
    CROSS JOIN LATERAL (SELECT coalesce(sum(spent), 0) AS spent FROM laneway.run_cost WHERE run_id = r.id) c
"""
_REQUEUE = """
    UPDATE laneway.task SET state = %s, attempts = 0, refusals = 0, losses = 0, wake_at = NULL, wait_reason = NULL,
           result_seq = NULL, cancel_requested = false, twin_id = NULL, begun_at = NULL,
           answers_to = NULL
    WHERE id = ANY(%s) RETURNING id, run_id, next_model
"""
_OPEN = """
    WITH opened AS (
        UPDATE laneway.task SET
            state = CASE WHEN wake_at IS NULL AND twin_id IS NULL THEN 'ready' ELSE 'waiting' END,
            wait_reason = CASE WHEN twin_id IS NOT NULL THEN 'shared' WHEN wake_at IS NOT NULL
                               THEN coalesce(wait_reason, 'scheduled') END,
            wake_at = CASE WHEN twin_id IS NOT NULL THEN 0 WHEN wait_reason = 'triage' THEN %s + wake_at
                           ELSE wake_at END
        WHERE id BETWEEN %s AND %s AND run_id = %s AND state = 'triaging' RETURNING cell_id, state
    ) SELECT cell_id, state, count(*) FROM opened GROUP BY 1, 2
"""
# Let tasks leave their run: what waits is cancelled, what runs is asked to.
_DROP = """
    WITH old AS (
        SELECT id, cell_id, state FROM laneway.task WHERE {which} AND cell_id <> %(shelf)s ORDER BY id FOR UPDATE
    ), dropped AS (
        UPDATE laneway.task t SET
            cell_id = %(shelf)s, cancel_requested = old.state = 'running', failure_id = {no_kind},
            state = CASE WHEN old.state IN ('triaging', 'ready', 'waiting') THEN 'cancelled' ELSE old.state END
        FROM old WHERE t.id = old.id RETURNING t.id, old.cell_id, old.state AS was, t.state
    ) SELECT cell_id, was, state, count(*), array_agg(id) FILTER (WHERE EXISTS (
        SELECT 1 FROM laneway.child c WHERE c.flow_id = dropped.id
    )) FROM dropped GROUP BY 1, 2, 3
"""
_LEFT = _DROP.format(
    no_kind=NO_KIND,
    which="run_id = %(run)s AND key IS NOT NULL AND generation < %(generation)s"
    " AND cell_id NOT IN (SELECT id FROM laneway.cell WHERE run_id = %(run)s AND aside)",
)
_UNDONE = _DROP.format(
    no_kind=NO_KIND, which="run_id = %(run)s AND state IN ('triaging', 'ready', 'running', 'waiting')"
)
_OF_SUBMISSION = "run_id = %(run)s AND key IS NOT NULL AND generation = %(generation)s"
_ON_THE_SHELF = f"""
    SELECT DISTINCT p.route_id, d.content
    FROM laneway.task t JOIN laneway.payload p ON p.task_id = t.id JOIN laneway.document d ON d.id = p.route_id
    WHERE t.{_OF_SUBMISSION.replace("AND ", "AND t.")} AND t.cell_id = %(shelf)s
"""
_TAKE_BACK = f"""
    WITH back AS (
        UPDATE laneway.task t SET cell_id = %(home)s, cancel_requested = false, failure_id = NULL FROM laneway.payload p
        WHERE p.task_id = t.id AND p.route_id = %(route)s AND t.cell_id = %(shelf)s
              AND t.{_OF_SUBMISSION.replace("AND ", "AND t.")} RETURNING t.state
    ) SELECT state, count(*) FROM back GROUP BY 1
"""
_ENDED_BADLY = f"""
    SELECT id, cell_id, state FROM laneway.task WHERE {_OF_SUBMISSION} AND state IN ('failed', 'cancelled')
    ORDER BY id FOR UPDATE
"""
_BEGIN_ANEW = f"""
    UPDATE laneway.task SET begun_at = NULL
    WHERE {_OF_SUBMISSION} AND state IN ('ready', 'waiting') AND begun_at IS NOT NULL
"""
_FORGET = f"""
    WITH gone AS (DELETE FROM laneway.task WHERE {_OF_SUBMISSION} AND state = 'triaging' RETURNING id, cell_id),
         content AS (DELETE FROM laneway.payload WHERE task_id IN (SELECT id FROM gone)),
         questions AS (DELETE FROM laneway.question WHERE asked_in IN (SELECT id FROM gone))
    SELECT cell_id, count(*) FROM gone GROUP BY 1
"""
_REPLACED = "SELECT id FROM laneway.run WHERE identity = %s || ' (replaced ' || id || ')'"  # by `fresh`
SEAL_CHUNK = 2_000  # tasks in one commit: whoever else writes, an urgent claim even, waits no longer than for one


# runs -----------------------------------------------------------------------------------------------------------------
def find_run(db: Db, identity: str) -> Run | None:
    row = first(db, f"{RUN} WHERE r.identity = %s", (identity,))
    return None if row is None else Run(*row)


def get_run(db: Db, run_id: int) -> Run:
    row = first(db, f"{RUN} WHERE r.id = %s", (run_id,))
    if row is None:
        raise NotFoundError(f"there is no run {run_id}", hint="`laneway status` lists the runs of this store")
    return Run(*row)


def list_runs(db: Db, limit: int) -> list[Run]:
    return [Run(*row) for row in rows(db, f"{RUN} ORDER BY r.id DESC LIMIT %s", (limit,))]


def open_run(
    tx: Transaction,
    identity: str,
    info: Mapping[str, Any],
    max_cost: float | None,
    now: float,
    fresh: bool,
    join: bool = False,
) -> Run:
    known = scalar(tx.db, "SELECT id FROM laneway.run WHERE identity = %s", (identity,))
    if known is not None and join:
        return get_run(tx.db, known)
    if known is not None and fresh:
        replaced = f"{identity} (replaced {known})"
        run(tx.db, "UPDATE laneway.run SET identity = %s WHERE id = %s", (replaced, known))
        known = None
    if known is not None:
        run(
            tx.db,
            "UPDATE laneway.run SET generation = generation + 1, sealed = false, max_cost = %s, info = %s::jsonb"
            " WHERE id = %s",
            (max_cost, json(dict(info)), known),
        )
        return get_run(tx.db, known)
    made = scalar(
        tx.db,
        "INSERT INTO laneway.run (identity, generation, sealed, created_at, first_seq, cursor,"
        ' "offset", max_cost, info)'
        f" SELECT %s, 1, false, %s, h.seq, h.seq, 0, %s, %s::jsonb FROM (SELECT ({HORIZON}) - 1 AS seq) h RETURNING id",
        (identity, now, max_cost, json(dict(info))),
    )
    return get_run(tx.db, made)


def end_budget(tx: Transaction, run_id: int) -> None:
    tx.flush()
    run(
        tx.db,
        "UPDATE laneway.run SET budget_base ="
        " (SELECT coalesce(sum(spent), 0) FROM laneway.run_cost WHERE run_id = %(run)s) WHERE id = %(run)s",
        {"run": run_id},
    )


def save_cursor(tx: Transaction, run_id: int, cursor: int, offset: int) -> None:
    run(tx.db, 'UPDATE laneway.run SET cursor = %s, "offset" = %s WHERE id = %s', (cursor, offset, run_id))


# a submission ---------------------------------------------------------------------------------------------------------
def seal(tx: Transaction, run_: Run, now: float) -> Sealed:
    """Drop what the submission did not name, take back what it named again, and ready what had failed."""
    db = tx.db
    submission = {"run": run_.id, "generation": run_.generation}
    shelf = cell_id(db, run_.id, "", "", 0, shelf=True)
    dropped, rewrite = _drop(tx, _LEFT, {**submission, "shelf": shelf}, now)
    if run_.generation == 1:
        for (id_,) in rows(db, _REPLACED, (run_.identity,)):  # what it had still to do would be paid beside this one's
            _drop(tx, _UNDONE, {"run": id_, "shelf": cell_id(db, id_, "", "", 0, shelf=True)}, now)
    rewrite += _take_back(tx, run_, shelf)
    ended = rows(db, _ENDED_BADLY, submission)
    full = unpruned(db, [id_ for id_, _, _ in ended])  # of what was pruned since it was named, there is nothing to send
    requeue_all(tx, [(id_, cell, State(state)) for id_, cell, state in ended if id_ in full])
    run(db, _BEGIN_ANEW, submission)  # while nobody worked, no time passed
    run(db, "UPDATE laneway.run SET sealed = true WHERE id = %s", (run_.id,))
    if rewrite and (gone := pruned(db, run_.id, run_.generation)):
        raise answers_pruned(gone)
    if rewrite:
        run(db, 'UPDATE laneway.run SET cursor = first_seq, "offset" = 0 WHERE id = %s', (run_.id,))
    return Sealed(opened=0, dropped=dropped, rewrite=bool(rewrite))


def _drop(tx: Transaction, sql: str, bindings: Mapping[str, Any], now: float) -> tuple[int, int]:
    """How many went, and how many of them had succeeded."""
    dropped = succeeded = 0
    for cell, was, state, n, flows in rows(tx.db, sql, bindings):
        tx.count(cell, State(was), -n)
        tx.count(bindings["shelf"], State(state), n)
        close(tx, flows or [], now)
        dropped += n
        succeeded += n if was == State.SUCCEEDED else 0
    return dropped, succeeded


def _take_back(tx: Transaction, run_: Run, shelf: int) -> int:
    """How many of those who come back had succeeded."""
    where = {"run": run_.id, "generation": run_.generation, "shelf": shelf}
    places = Places(tx.db, run_.id)
    succeeded = 0
    for route_id, content in rows(tx.db, _ON_THE_SHELF, where):
        home = places.cell(Route.from_json(orjson.loads(content)))
        for state, n in rows(tx.db, _TAKE_BACK, {**where, "home": home, "route": route_id}):
            tx.count(shelf, State(state), -n)
            tx.count(home, State(state), n)
            succeeded += n if state == State.SUCCEEDED else 0
    return succeeded


def held_range(db: Db, run_: Run) -> tuple[int, int] | None:
    """The lowest and highest id among the run's tasks that are still held."""
    held = "SELECT min(id), max(id) FROM laneway.task WHERE run_id = %s AND state = 'triaging'"
    ((low, high),) = rows(db, held, (run_.id,))
    return None if low is None else (low, high)


def open_held(tx: Transaction, run: Run, low: int, high: int, now: float) -> int:
    """Ready the held tasks with ids from ``low`` to ``high``; those with a time or a twin to wait for wait."""
    opened = 0
    for cell, state, n in rows(tx.db, _OPEN, (now, low, high, run.id)):
        tx.move(cell, State.TRIAGING, State(state), n)
        opened += n
    return opened


def abandon(tx: Transaction, run_: Run) -> None:
    for cell, n in rows(tx.db, _FORGET, {"run": run_.id, "generation": run_.generation}):
        tx.count(cell, State.TRIAGING, -n)
    left = "SELECT 1 FROM laneway.task WHERE run_id = %s AND key IS NOT NULL LIMIT 1"
    if run_.generation == 1 and scalar(tx.db, left, (run_.id,)) is None:
        tx.flush()
        of_cells = "DELETE FROM laneway.cell_count WHERE cell_id IN (SELECT id FROM laneway.cell WHERE run_id = %s)"
        run(tx.db, of_cells, (run_.id,))
        for table, column in (("cell", "run_id"), ("run_cost", "run_id"), ("run", "id")):
            run(tx.db, f"DELETE FROM laneway.{table} WHERE {column} = %s", (run_.id,))
        replaced = f"UPDATE laneway.run SET identity = %s WHERE id = (SELECT max(id) FROM ({_REPLACED}) AS r)"
        run(tx.db, replaced, (run_.identity, run_.identity))  # with what was paid for in it


# again ----------------------------------------------------------------------------------------------------------------
def requeue_all(tx: Transaction, ended: Sequence[tuple[int, int, State]]) -> None:
    """Ended tasks (id, cell, state) start over; their attempts stay in the ledger."""
    if not ended:
        return
    ids = [id_ for id_, _, _ in ended]
    of_tasks = "SELECT result_seq FROM laneway.task WHERE id = ANY(%s) AND result_seq IS NOT NULL"
    run(tx.db, f"DELETE FROM laneway.result WHERE seq IN ({of_tasks})", (ids,))
    run(tx.db, "UPDATE laneway.payload SET complaint = NULL WHERE task_id = ANY(%s) AND complaint IS NOT NULL", (ids,))
    for table in ("step", "wait_group"):  # a flow hears of its children anew
        run(tx.db, f"DELETE FROM laneway.{table} WHERE flow_id = ANY(%s)", (ids,))
    chosen = {id_: (run_id, model) for id_, run_id, model in rows(tx.db, _REQUEUE, (State.READY.value, ids)) if model}
    for id_, cell, old in ended:
        tx.move(cell, old, State.READY)
        if id_ in chosen:
            run_id, model = chosen[id_]
            to_model(tx, id_, run_id, cell, State.READY, model, by_hand=True)


def to_model(
    tx: Transaction, task_id: int, run_id: int, cell: int, state: State, model: str, *, by_hand: bool = False
) -> None:
    """Go on with another model; one that somebody chose by hand has all its tries."""
    place = "SELECT lane, urgency, aside FROM laneway.cell WHERE id = %s"
    ((lane, urgency, aside),) = rows(tx.db, place, (cell,))
    target = cell_id(tx.db, run_id, model, lane, urgency, shelf=aside, aside=aside)
    run(
        tx.db,
        f"UPDATE laneway.task SET cell_id = %s, next_model = NULL{', attempts = 0' * by_hand} WHERE id = %s",
        (target, task_id),
    )
    tx.count(cell, state, -1)
    tx.count(target, state, 1)
