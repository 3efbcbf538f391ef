"""The queue: looking, waking, claiming, settling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import orjson

from laneway.store.budgets import NO_LIMITS, Limits
from laneway.store.interface import Pick
from laneway.store.sqlite import sharing, spending
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.pruning import is_pruned
from laneway.store.sqlite.runs import requeue, to_model
from laneway.store.sqlite.spending import Left, Place
from laneway.store.sqlite.writer import Transaction
from laneway.task import Attempt, Failure, FailureClass, Outcome, Settlement, State, Urgency

DUE = "SELECT id, cell_id, twin_id FROM task WHERE state = 'waiting' AND wake_at <= ? ORDER BY wake_at LIMIT 1000"
NEXT_WAKE = "SELECT wake_at FROM task WHERE state = 'waiting' AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1"
TAKE = """
    UPDATE task SET state = 'running', worker_id = ?, fence = fence + 1, begun_at = iif(begun_at >= ?, begun_at, ?)
    WHERE id IN (SELECT id FROM task WHERE cell_id = ? AND state = 'ready' ORDER BY due_at, id LIMIT ?)
    RETURNING due_at, id, fence, attempts, refusals, losses, key, input_tokens, output_tokens, begun_at
"""
TAKE_THESE = TAKE.replace(
    "(SELECT id FROM task WHERE cell_id = ? AND state = 'ready' ORDER BY due_at, id LIMIT ?)",
    "(SELECT value FROM json_each(?))",
)
NEXT = """
    SELECT t.id, t.input_tokens, t.output_tokens, p.spec_id FROM task t JOIN payload p ON p.task_id = t.id
    WHERE t.cell_id = ? AND t.state = 'ready' ORDER BY t.due_at, t.id LIMIT ?
"""
PAYLOADS = """
    SELECT task_id, submitted_at, deadline, spec_id, route_id, complaint, body FROM payload
    WHERE task_id IN (SELECT value FROM json_each(?))
"""
OPEN_ATTEMPT = """
    INSERT INTO attempt (task_id, fence, call, run_id, worker_id, model, account, started_at,
                         reserved_input, reserved_output, reserved_cost, cell_id)
    VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SETTLE_TASK = """
    UPDATE task SET
        state = CASE WHEN cancel_requested AND ?1 IN ('waiting', 'ready') THEN 'cancelled' ELSE ?1 END,
        wake_at = ?2, wait_reason = ?3, worker_id = NULL, attempts = attempts + ?4, refusals = refusals + ?5,
        result_seq = ?6, begun_at = CASE WHEN ?10 THEN NULL ELSE begun_at END
    WHERE id = ?7 AND fence = ?8 AND worker_id = ?9 AND state = 'running'
    RETURNING state, cell_id, run_id, next_model
"""
CLOSE_ATTEMPT = """
    UPDATE attempt SET outcome = coalesce(outcome, ?), latency = ?, input_tokens = ?, output_tokens = ?,
           cached_tokens = ?, input_price = ?, output_price = ?, cost = ?, error = ?
    WHERE task_id = ? AND fence = ? AND call = 0 AND (outcome IS NULL OR (outcome = 'lost' AND latency IS NULL))
    RETURNING reserved_cost, run_id, started_at, account, cell_id,
              (SELECT spec_id FROM payload WHERE payload.task_id = attempt.task_id)
"""
STATES = """
    SELECT t.id, t.cell_id, t.state FROM task t JOIN cell c ON c.id = t.cell_id
    WHERE t.id IN (SELECT value FROM json_each(?)) AND c.shelf = 0
"""
OF_CALL = """
    FROM attempt a JOIN payload p ON p.task_id = a.task_id WHERE a.task_id = ? AND a.fence = ? AND a.call = ?
"""
PLACE_OF_CALL = f"SELECT a.cell_id, p.spec_id {OF_CALL.replace('call = ?', 'call = 0')}"
RESULT = """
    INSERT INTO result (seq, task_id, settled_at, cost, request_id, error, output) VALUES (?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A claimed row before its documents are read."""

    pick: Pick
    cell: Cell
    task: tuple[Any, ...]
    payload: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    id: int
    run_id: int
    model: str
    lane: str
    urgency: Urgency
    max_cost: float | None
    free_budget: float


def wake(tx: Transaction, now: float) -> None:
    due = list(tx.db.execute(DUE, (now,)))
    tx.db.executemany(
        "UPDATE task SET state = 'ready', wake_at = NULL, wait_reason = NULL WHERE id = ?",
        [(id_,) for id_, _, twin in due if twin is None],
    )
    for _, cell, twin in due:
        if twin is None:
            tx.move(cell, State.WAITING, State.READY)
    sharing.look(tx, [row for row in due if row[2] is not None], now)


def claim(tx: Transaction, worker: str, picks: Sequence[Pick], now: float, limits: Limits = NO_LIMITS) -> list[Taken]:
    left = Left(tx, limits, now)
    taken: list[Taken] = []
    attempts: list[tuple[Any, ...]] = []
    reserved: dict[int, float] = defaultdict(float)
    for pick in picks:
        cell = _cell(tx.db, pick.cell_id)
        if cell is None:
            continue
        free = None if cell.max_cost is None else cell.free_budget - reserved[cell.run_id]
        rows = sorted(_take(tx, worker, now, cell, pick, free, left))
        if not rows:
            continue
        payloads = {p[0]: p for p in tx.db.execute(PAYLOADS, (orjson.dumps([row[1] for row in rows]).decode(),))}
        for row in rows:
            _, id_, fence, _, _, _, _, input_tokens, output_tokens, _ = row
            payload = payloads[id_]
            cost = _price(pick, input_tokens, output_tokens)
            if cost:
                reserved[cell.run_id] += cost
                tx.books.add(now, pick.account, cell.id, payload[3], reserved=cost)
            place = (cell.run_id, worker, cell.model, pick.account, now)
            attempts.append((id_, fence, *place, input_tokens, output_tokens, cost, cell.id))
            taken.append(Taken(pick, cell, row, payload))
        tx.move(cell.id, State.READY, State.RUNNING, len(rows))
    tx.db.executemany(OPEN_ATTEMPT, attempts)
    for run_id, cost in reserved.items():
        if cost:
            tx.db.execute("UPDATE run SET reserved = reserved + ? WHERE id = ?", (cost, run_id))
    return taken


def _cell(db: apsw.Connection, cell: int) -> Cell | None:
    for id_, run_id, model, lane, urgency, max_cost, free in db.execute(
        "SELECT c.id, c.run_id, c.model, c.lane, c.urgency, r.max_cost,"
        " coalesce(r.max_cost, 0) - (r.spent - r.budget_base) - r.reserved"
        " FROM cell c JOIN run r ON r.id = c.run_id WHERE c.id = ?",
        (cell,),
    ):
        return Cell(id_, run_id, model, lane, Urgency(urgency), max_cost, free)
    return None


def _take(
    tx: Transaction, worker: str, now: float, cell: Cell, pick: Pick, free: float | None, left: Left
) -> Iterable[tuple[Any, ...]]:
    """The next tasks of the cell that the run's budget (``free``: USD) and the day's allow, running from here on."""
    if free is None and not left.limited:
        return tx.db.execute(TAKE, (worker, left.counted_from, now, cell.id, pick.n)) if pick.n else ()
    ids: list[int] = []
    held: list[int] = []
    passed: list[int] = []
    looked, most = 0, pick.n + left.looked_at
    rows = tx.db.cursor()
    for id_, input_tokens, output_tokens, spec_id in rows.execute(NEXT, (cell.id, most)):
        cost = _price(pick, input_tokens, output_tokens)
        place = Place(pick.account, cell.lane, tx.books.type_of(spec_id))
        if len(ids) == pick.n or left.closed(place) or (free is not None and free < (cost or 0.0)):
            break
        looked += 1
        priced = cost is not None or not cell.model
        if not left.allows(place, priced=priced):
            (passed if priced and left.may_free(place.type) else held).append(id_)
            continue
        ids.append(id_)
        left.take(place, cost or 0.0)
        free = None if free is None else free - (cost or 0.0)
    rows.close()
    if held:
        spending.hold(tx, cell.id, held, left.until)
    if looked == most and passed[spending.NEARBY :]:  # who stands behind them was not even seen
        spending.hold(tx, cell.id, passed[spending.NEARBY :], left.soon)
    return tx.db.execute(TAKE_THESE, (worker, left.counted_from, now, orjson.dumps(ids).decode())) if ids else ()


def _price(pick: Pick, input_tokens: int, output_tokens: int) -> float | None:
    if pick.input_price is None or pick.output_price is None:
        return None
    return (input_tokens * pick.input_price + output_tokens * pick.output_price) / 1e6


def settle(tx: Transaction, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
    accepted = []
    books: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])  # run: reserved, spent
    for s in settlements:
        seq = tx.next_seq() if s.state.ended else None
        refusal = not s.burned and s.counted and s.outcome in (Outcome.RATE_LIMITED, Outcome.TRANSIENT)
        row = next(
            iter(
                tx.db.execute(
                    SETTLE_TASK,
                    (
                        s.state.value,
                        s.wake_at,
                        "retry" if s.state is State.WAITING else None,
                        int(s.burned),
                        int(refusal),
                        seq,
                        s.task_id,
                        s.fence,
                        worker,
                        s.outcome is Outcome.ACCOUNT,  # what it waits for now is not its own time
                    ),
                )
            ),
            None,
        )
        _close_attempt(tx, s, books, late=row is None)
        accepted.append(row is not None)
        if row is None:
            continue
        state, cell, run_id = State(row[0]), int(row[1]), int(row[2])
        tx.move(cell, State.RUNNING, state)
        if state is not s.state:
            seq = tx.next_seq()
            tx.db.execute(
                "UPDATE task SET result_seq = ?, wake_at = NULL, wait_reason = NULL WHERE id = ?",
                (seq, s.task_id),
            )
        elif not state.ended and (model := row[3] or s.model):
            to_model(tx, s.task_id, run_id, cell, state, model, by_hand=row[3] is not None)
        if s.complaint is not None:
            tx.db.execute("UPDATE payload SET complaint = ? WHERE task_id = ?", (s.complaint, s.task_id))
        if seq is not None:
            error = orjson.dumps(s.failure.as_json()).decode() if s.failure else None
            cost = _task_cost(tx.db, s)
            tx.db.execute(RESULT, (seq, s.task_id, now, cost, s.request_id, error, s.output))
    for run_id, (reserved, spent) in books.items():
        if reserved or spent:
            tx.db.execute(
                "UPDATE run SET reserved = max(0, reserved - ?), spent = spent + ? WHERE id = ?",
                (reserved, spent, run_id),
            )
    sharing.rouse(tx, [s.task_id for s, ok in zip(settlements, accepted, strict=True) if ok])
    return accepted


def _close_attempt(tx: Transaction, s: Settlement, books: dict[int, list[float]], late: bool) -> None:
    usage = s.usage
    row = next(
        iter(
            tx.db.execute(
                CLOSE_ATTEMPT,
                (
                    s.outcome.value,
                    s.latency,
                    usage.input_tokens if usage else None,
                    usage.output_tokens if usage else None,
                    usage.cached_tokens if usage else None,
                    s.input_price,
                    s.output_price,
                    s.cost,
                    orjson.dumps(s.failure.as_json()).decode() if s.failure else None,
                    s.task_id,
                    s.fence,
                ),
            )
        ),
        None,
    )
    if row is None:
        return
    reserved, run_id, started_at = row[0] or 0.0, row[1], row[2]
    spent = s.cost or 0.0
    if late:  # the reaper booked what was reserved; the real cost is known now
        spent, reserved = spent - reserved, 0.0
    books[run_id][0] += reserved
    books[run_id][1] += spent
    tx.books.add(started_at, *row[3:], reserved=-reserved, spent=spent)


def _task_cost(db: apsw.Connection, s: Settlement) -> float | None:
    """What the task cost over all attempts; None when the deciding one's price is unknown."""
    if s.cost is None and s.usage is not None:
        return None
    if s.fence == 1:
        return s.cost
    total = scalar(db, "SELECT total(cost) FROM attempt WHERE task_id = ? AND call = 0", (s.task_id,))
    return float(total)


def fail(tx: Transaction, task_id: int, failure: Failure, now: float) -> None:
    """Write the result of a task that no worker could finish."""
    seq = tx.next_seq()
    tx.db.execute("UPDATE task SET result_seq = ? WHERE id = ?", (seq, task_id))
    tx.db.execute(RESULT, (seq, task_id, now, None, None, orjson.dumps(failure.as_json()).decode(), None))


def cancel(tx: Transaction, task_ids: Sequence[int], now: float) -> int:
    changed = 0
    for id_, cell, state in _states(tx.db, task_ids):
        if state is State.RUNNING:
            tx.db.execute("UPDATE task SET cancel_requested = 1 WHERE id = ?", (id_,))
            changed += 1
        elif not state.ended:
            tx.db.execute(
                "UPDATE task SET state = 'cancelled', wake_at = NULL, wait_reason = NULL WHERE id = ?", (id_,)
            )
            tx.move(cell, state, State.CANCELLED)
            fail(tx, id_, Failure(FailureClass.REQUEST, "cancelled", "cancelled before it started"), now)
            changed += 1
    return changed


def retry(tx: Transaction, task_ids: Sequence[int]) -> int:
    changed = 0
    for id_, cell, state in _states(tx.db, task_ids):
        if state in (State.FAILED, State.CANCELLED) and not is_pruned(tx.db, id_):
            requeue(tx, id_, cell, state, State.READY)
            changed += 1
    return changed


def _states(db: apsw.Connection, task_ids: Sequence[int]) -> list[tuple[int, int, State]]:
    ids = orjson.dumps(list(task_ids)).decode()
    rows = db.execute(STATES, (ids,))
    return [(id_, cell, State(state)) for id_, cell, state in rows]


def record_call(tx: Transaction, worker: str, attempt: Attempt, run_id: int, limits: Limits = NO_LIMITS) -> bool:
    """Open or close a ledger line of a Python task's own call (``call`` ≥ 1)."""
    a, line = attempt, (attempt.task_id, attempt.fence)
    if a.outcome is not None:
        _close_call(tx, a, a.outcome)
        return True
    cell_id, spec_id = next(iter(tx.db.execute(PLACE_OF_CALL, line)), (None, 0))
    if cell_id is not None and limits:
        place = tx.books.place(a.account, cell_id, spec_id)
        if not Left(tx, limits, a.started_at).allows(place, priced=a.reserved_cost is not None):
            return False
    reserved = a.reserved_cost or 0.0
    tx.db.execute(
        "INSERT INTO attempt (task_id, fence, call, run_id, worker_id, model, account, started_at,"
        " reserved_input, reserved_output, reserved_cost, cell_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?)",
        (a.task_id, a.fence, a.call, run_id, worker, a.model, a.account, a.started_at, a.reserved_cost, cell_id),
    )
    tx.books.add(a.started_at, a.account, cell_id, spec_id, reserved=reserved)
    tx.db.execute("UPDATE run SET reserved = reserved + ? WHERE id = ?", (reserved, run_id))
    return True


def _close_call(tx: Transaction, a: Attempt, outcome: Outcome) -> None:
    usage = a.usage
    line = (a.task_id, a.fence, a.call)
    before = next(iter(tx.db.execute(f"SELECT outcome, latency {OF_CALL}", line)), None)
    lost = before == (Outcome.LOST, None)
    if before != (None, None) and not lost:
        return  # it is closed
    tx.db.execute(
        "UPDATE attempt SET outcome = coalesce(outcome, ?), latency = ?, input_tokens = ?, output_tokens = ?,"
        " cached_tokens = ?, input_price = ?, output_price = ?, cost = ?, error = ?"
        " WHERE task_id = ? AND fence = ? AND call = ?",
        (
            outcome.value,
            a.latency,
            usage.input_tokens if usage else None,
            usage.output_tokens if usage else None,
            usage.cached_tokens if usage else None,
            a.input_price,
            a.output_price,
            a.cost,
            orjson.dumps(a.error).decode() if a.error else None,
            *line,
        ),
    )
    for run_id, reserved_cost, started_at, account, cell_id, spec_id in list(
        tx.db.execute(
            f"SELECT a.run_id, a.reserved_cost, a.started_at, a.account, a.cell_id, p.spec_id {OF_CALL}", line
        )
    ):
        spent, reserved = a.cost or 0.0, reserved_cost or 0.0
        if lost:  # as with a task's own call: the reaper booked what was reserved
            spent, reserved = spent - reserved, 0.0
        tx.books.add(started_at, account, cell_id, spec_id, reserved=-reserved, spent=spent)
        tx.db.execute(
            "UPDATE run SET reserved = max(0, reserved - ?), spent = spent + ? WHERE id = ?", (reserved, spent, run_id)
        )
