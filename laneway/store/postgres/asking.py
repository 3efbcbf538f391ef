"""Questions to triage's classifier, and what it said."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from laneway.store.asking import LONGEST_S, AskedFigures, Judged, Labels, Question, Ruling
from laneway.store.postgres.connection import Db, first, rows, run
from laneway.store.postgres.places import Places
from laneway.store.postgres.submitting import Routes, submit
from laneway.store.postgres.transaction import Transaction
from laneway.store.runs import Run
from laneway.task import BY_HAND, NewTask, Route, State, WaitReason

KNOWN = "SELECT digest, said FROM laneway.verdict WHERE digest = ANY(%s)"
ASK = """
    INSERT INTO laneway.question (task_id, asked_in, run_id, at)
    SELECT task_id, asked_in, %s, %s FROM unnest(%s::bigint[], %s::bigint[]) AS q (task_id, asked_in)
"""
_WAITING = """
    SELECT t.id, t.run_id, t.cell_id, t.wait_reason
    FROM laneway.question q JOIN laneway.task t ON t.id = q.task_id
    WHERE q.asked_in = %s AND t.state = 'waiting' AND t.wait_reason IN ('triage', 'scheduled') ORDER BY t.id
"""
LOCKED = f"{_WAITING} FOR UPDATE OF t"
IDLE = """
    SELECT t.id, t.cell_id, t.state FROM laneway.cell c JOIN laneway.task t ON t.cell_id = c.id
    WHERE c.run_id = %s AND c.aside AND t.state IN ('ready', 'waiting')
      AND EXISTS (SELECT 1 FROM laneway.question q WHERE q.asked_in = t.id) AND NOT EXISTS (
        SELECT 1 FROM laneway.question q JOIN laneway.task s ON s.id = q.task_id
        WHERE q.asked_in = t.id AND s.state = 'waiting' AND s.wait_reason IN ('triage', 'scheduled')
    ) ORDER BY t.id FOR UPDATE OF t
"""
DROP = "UPDATE laneway.task SET state = 'cancelled', wake_at = NULL, wait_reason = NULL WHERE id = ANY(%s)"
ANSWERED = """
    UPDATE laneway.question q SET answered_at = %s, said = nullif(a.said, 'null')
    FROM unnest(%s::bigint[], %s::jsonb[]) AS a (task_id, said) WHERE q.task_id = a.task_id AND q.asked_in = %s
"""
KEEP = """
    INSERT INTO laneway.verdict (digest, said, at)
    SELECT DISTINCT ON (digest) digest, said, %s FROM unnest(%s::bytea[], %s::jsonb[]) AS v (digest, said)
    ORDER BY digest ON CONFLICT (digest) DO UPDATE SET said = excluded.said, at = excluded.at
"""
GO_ON = "UPDATE laneway.task SET state = 'ready', wake_at = NULL, wait_reason = NULL WHERE id = ANY(%s)"
MOVE = """
    UPDATE laneway.task t SET cell_id = m.cell_id, due_at = coalesce(m.due_at, t.due_at)
    FROM unnest(%s::bigint[], %s::bigint[], %s::float8[]) AS m (id, cell_id, due_at) WHERE t.id = m.id
"""
SAY = """
    UPDATE laneway.payload p SET route_id = m.route_id
    FROM unnest(%s::bigint[], %s::bigint[]) AS m (id, route_id) WHERE p.task_id = m.id
"""
OF_TASK = """
    SELECT asked_in, at, answered_at, said, (SELECT count(*) FROM laneway.question o WHERE o.asked_in = q.asked_in)
    FROM laneway.question q WHERE task_id = %s ORDER BY at, asked_in
"""
COUNTED = """
    SELECT count(*), count(*) FILTER (WHERE q.said <> '{}'), count(*) FILTER (WHERE q.said = '{}'),
           count(*) FILTER (WHERE q.said IS NULL
                            AND NOT coalesce(t.state = 'waiting' AND t.wait_reason = 'triage', false))
    FROM laneway.question q LEFT JOIN laneway.task t ON t.id = q.task_id
    WHERE (%(run)s::bigint IS NULL OR q.run_id = %(run)s) AND q.at >= %(since)s
"""
CALLS = """
    SELECT count(*), coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint,
           coalesce(sum(cost), 0)::float8, count(*) FILTER (WHERE cost IS NULL AND input_tokens IS NOT NULL)
    FROM laneway.attempt WHERE started_at >= %(since)s AND task_id IN (
        SELECT asked_in FROM laneway.question
        WHERE at >= %(since)s - %(longest)s AND (%(run)s::bigint IS NULL OR run_id = %(run)s)
    )
"""


def verdicts(db: Db, digests: Sequence[bytes]) -> dict[bytes, Labels]:
    return dict(rows(db, KNOWN, (list(digests),)))


def ask(
    tx: Transaction, run_: Run, questions: Sequence[NewTask], about: Sequence[Sequence[int]], now: float, held: bool
) -> list[int]:
    ids = submit(tx, run_, questions, now, held, aside=True).ids
    pairs = [(task, id_) for id_, tasks in zip(ids, about, strict=True) for task in tasks]
    run(tx.db, ASK, (run_.id, now, [task for task, _ in pairs], [id_ for _, id_ in pairs]))
    return ids


def waiting_for(db: Db, question: int) -> list[int]:
    return [row[0] for row in rows(db, _WAITING, (question,))]


def hear(tx: Transaction, question: int, rulings: Sequence[Ruling], now: float) -> int:
    waiting = {id_: (run_id, cell, reason) for id_, run_id, cell, reason in rows(tx.db, LOCKED, (question,))}
    said = [Jsonb(None if ruling.said is None else dict(ruling.said)) for ruling in rulings]
    run(tx.db, ANSWERED, (now, [ruling.task_id for ruling in rulings], said, question))
    kept = {r.digest: Jsonb(dict(r.said)) for r in rulings if r.digest is not None and r.said is not None}
    if kept:
        run(tx.db, KEEP, (now, list(kept), list(kept.values())))
    going = [ruling for ruling in rulings if ruling.task_id in waiting]
    homes = _reroute(tx, [ruling for ruling in going if ruling.route is not None], waiting)
    ready = [r.task_id for r in going if waiting[r.task_id][2] == WaitReason.TRIAGE]
    if ready:
        run(tx.db, GO_ON, (ready,))
    for ruling in going:
        _, cell, reason = waiting[ruling.task_id]
        tx.count(cell, State.WAITING, -1)
        state = State.READY if reason == WaitReason.TRIAGE else State.WAITING
        tx.count(homes.get(ruling.task_id, cell), state, 1)
    return len(going)


def _reroute(tx: Transaction, rulings: Sequence[Ruling], waiting: dict[int, tuple[int, int, str]]) -> dict[int, int]:
    """By task, its cell from here on. What somebody set by hand meanwhile stays."""
    if not rulings:
        return {}
    stored = Routes(tx.db, [ruling.task_id for ruling in rulings])
    routes: dict[int, Route] = {}
    for ruling in rulings:
        assert ruling.route is not None
        routes[ruling.task_id] = stored.keeping_hands(ruling.task_id, ruling.route)
    places: dict[int, Places] = {}
    moves: list[tuple[int, int, float | None]] = []
    documents: list[tuple[int, int]] = []
    for ruling in rulings:
        route = routes[ruling.task_id]
        run_id = waiting[ruling.task_id][0]
        here = places.setdefault(run_id, Places(tx.db, run_id))
        due_at = None if route.reasons.get("urgency") == BY_HAND else ruling.due_at
        moves.append((ruling.task_id, here.cell(route), due_at))
        documents.append((ruling.task_id, here.document(route)))
    run(tx.db, MOVE, [list(column) for column in zip(*moves, strict=True)])
    run(tx.db, SAY, [list(column) for column in zip(*documents, strict=True)])
    return {id_: cell for id_, cell, _ in moves}


def drop_questions(tx: Transaction, run_id: int) -> int:
    idle = rows(tx.db, IDLE, (run_id,))
    if idle:
        run(tx.db, DROP, ([id_ for id_, _, _ in idle],))
    for _, cell, state in idle:
        tx.move(cell, State(state), State.CANCELLED)
    return len(idle)


def questions(db: Db, task_id: int) -> list[Question]:
    return [Question(*row) for row in rows(db, OF_TASK, (task_id,))]


def note_judged(tx: Transaction, task_id: int, judged: Judged) -> None:
    sql = """
        INSERT INTO laneway.judged (task_id, at, origin, model, reason) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (task_id, at) DO UPDATE SET model = excluded.model, reason = excluded.reason
    """
    run(tx.db, sql, (task_id, *judged))


def judged(db: Db, task_id: int) -> list[Judged]:
    found = rows(db, "SELECT at, origin, model, reason FROM laneway.judged WHERE task_id = %s ORDER BY at", (task_id,))
    return [Judged(*row) for row in found]


def asked(db: Db, run_id: int | None, since: float) -> AskedFigures:
    counts = first(db, COUNTED, {"run": run_id, "since": since})
    calls = first(db, CALLS, {"run": run_id, "since": since, "longest": LONGEST_S})
    assert counts is not None, "it counts"
    assert calls is not None, "it counts"
    made, input_tokens, output_tokens, cost, unpriced = calls
    figures = AskedFigures(calls=made, input_tokens=input_tokens, output_tokens=output_tokens)
    asked, answered, abstained, unheard = counts
    return figures._replace(
        asked=asked, answered=answered, abstained=abstained, unheard=unheard, cost_usd=None if unpriced else cost
    )
