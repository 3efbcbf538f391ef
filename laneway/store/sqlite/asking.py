"""Questions to triage's classifier, and what it said."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import orjson

from laneway.store.asking import LONGEST_S, AskedFigures, Judged, Labels, Question, Ruling
from laneway.store.runs import Run
from laneway.store.sqlite.places import Places
from laneway.store.sqlite.submitting import Routes, submit
from laneway.store.sqlite.transaction import Transaction
from laneway.task import BY_HAND, NewTask, State, WaitReason

KNOWN = "SELECT digest, said FROM verdict WHERE digest IN (SELECT unhex(value) FROM json_each(?))"
ASK = "INSERT INTO question (task_id, asked_in, run_id, at) VALUES (?, ?, ?, ?)"
WAITING = """
    SELECT t.id, t.run_id, t.cell_id, t.wait_reason FROM question q JOIN task t ON t.id = q.task_id
    WHERE q.asked_in = ? AND t.state = 'waiting' AND t.wait_reason IN ('triage', 'scheduled')
"""
IDLE = """
    SELECT t.id, t.cell_id, t.state FROM cell c JOIN task t ON t.cell_id = c.id
    WHERE c.run_id = ? AND c.aside AND t.state IN ('ready', 'waiting')
      AND EXISTS (SELECT 1 FROM question q WHERE q.asked_in = t.id) AND NOT EXISTS (
        SELECT 1 FROM question q JOIN task s ON s.id = q.task_id
        WHERE q.asked_in = t.id AND s.state = 'waiting' AND s.wait_reason IN ('triage', 'scheduled')
    )
"""
ANSWERED = "UPDATE question SET answered_at = ?, said = ? WHERE task_id = ? AND asked_in = ?"
KEEP = "INSERT INTO verdict (digest, said, at) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET said = ?2, at = ?3"
GO_ON = "UPDATE task SET state = 'ready', wake_at = NULL, wait_reason = NULL WHERE id = ?"
MOVE = "UPDATE task SET cell_id = ?, due_at = coalesce(?, due_at) WHERE id = ?"
OF_TASK = """
    SELECT asked_in, at, answered_at, said, (SELECT count(*) FROM question o WHERE o.asked_in = q.asked_in)
    FROM question q WHERE task_id = ? ORDER BY at, asked_in
"""
COUNTED = """
    SELECT count(*), total(q.said <> '{}'), total(q.said = '{}'),
           total(q.said IS NULL AND NOT coalesce(t.state = 'waiting' AND t.wait_reason = 'triage', 0))
    FROM question q LEFT JOIN task t ON t.id = q.task_id WHERE (?1 IS NULL OR q.run_id = ?1) AND q.at >= ?2
"""
CALLS = """
    SELECT count(*), total(input_tokens), total(output_tokens), total(cost),
           total(cost IS NULL AND input_tokens IS NOT NULL)
    FROM attempt WHERE started_at >= ?2
         AND task_id IN (SELECT asked_in FROM question WHERE at >= ?2 - ?3 AND (?1 IS NULL OR run_id = ?1))
"""


def verdicts(db: apsw.Connection, digests: Sequence[bytes]) -> dict[bytes, Labels]:
    wanted = orjson.dumps([digest.hex() for digest in digests]).decode()
    return {digest: orjson.loads(said) for digest, said in db.execute(KNOWN, (wanted,))}


def ask(
    tx: Transaction, run: Run, questions: Sequence[NewTask], about: Sequence[Sequence[int]], now: float, held: bool
) -> list[int]:
    ids = submit(tx, run, questions, now, held, aside=True).ids
    rows = [(task, id_, run.id, now) for id_, tasks in zip(ids, about, strict=True) for task in tasks]
    tx.db.executemany(ASK, rows)
    return ids


def waiting_for(db: apsw.Connection, question: int) -> list[int]:
    return sorted(row[0] for row in db.execute(WAITING, (question,)))


def hear(tx: Transaction, question: int, rulings: Sequence[Ruling], now: float) -> int:
    waiting = {id_: (run_id, cell, reason) for id_, run_id, cell, reason in tx.db.execute(WAITING, (question,))}
    places: dict[int, Places] = {}
    routes = Routes(tx.db)
    went = 0
    for ruling in rulings:
        said = None if ruling.said is None else orjson.dumps(dict(ruling.said)).decode()
        tx.db.execute(ANSWERED, (now, said, ruling.task_id, question))
        if said is not None and ruling.digest is not None:
            tx.db.execute(KEEP, (ruling.digest, said, now))
        if ruling.task_id not in waiting:
            continue
        run_id, cell, reason = waiting[ruling.task_id]
        state = State.WAITING
        if reason == WaitReason.TRIAGE:
            state = State.READY
            tx.db.execute(GO_ON, (ruling.task_id,))
        home = cell
        if ruling.route is not None:
            home = _reroute(tx, places.setdefault(run_id, Places(tx.db, run_id)), routes, ruling)
        tx.count(cell, State.WAITING, -1)
        tx.count(home, state, 1)
        went += 1
    return went


def _reroute(tx: Transaction, places: Places, routes: Routes, ruling: Ruling) -> int:
    """Its cell from here on. What somebody set by hand meanwhile stays."""
    assert ruling.route is not None
    route = routes.keeping_hands(ruling.task_id, ruling.route)
    home = places.cell(route)
    due_at = None if route.reasons.get("urgency") == BY_HAND else ruling.due_at
    tx.db.execute(MOVE, (home, due_at, ruling.task_id))
    document = places.document(route)
    tx.db.execute("UPDATE payload SET route_id = ? WHERE task_id = ?", (document, ruling.task_id))
    return home


def drop_questions(tx: Transaction, run_id: int) -> int:
    idle = list(tx.db.execute(IDLE, (run_id,)))
    for id_, cell, state in idle:
        sql = "UPDATE task SET state = 'cancelled', wake_at = NULL, wait_reason = NULL WHERE id = ?"
        tx.db.execute(sql, (id_,))
        tx.move(cell, State(state), State.CANCELLED)
    return len(idle)


def questions(db: apsw.Connection, task_id: int) -> list[Question]:
    rows = db.execute(OF_TASK, (task_id,))
    return [Question(id_, at, then, said and orjson.loads(said), n) for id_, at, then, said, n in rows]


def note_judged(tx: Transaction, task_id: int, judged: Judged) -> None:
    sql = "INSERT OR REPLACE INTO judged (task_id, at, origin, model, reason) VALUES (?, ?, ?, ?, ?)"
    tx.db.execute(sql, (task_id, *judged))


def judged(db: apsw.Connection, task_id: int) -> list[Judged]:
    rows = db.execute("SELECT at, origin, model, reason FROM judged WHERE task_id = ? ORDER BY at", (task_id,))
    return [Judged(*row) for row in rows]


def asked(db: apsw.Connection, run_id: int | None, since: float) -> AskedFigures:
    ((n, answered, abstained, unheard),) = db.execute(COUNTED, (run_id, since))
    ((calls, input_tokens, output_tokens, cost, unpriced),) = db.execute(CALLS, (run_id, since, LONGEST_S))
    return AskedFigures(
        n,
        int(answered),
        int(abstained),
        int(unheard),
        calls,
        int(input_tokens),
        int(output_tokens),
        None if unpriced else float(cost),
    )
