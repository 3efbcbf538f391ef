"""The queue: looking, waking, claiming; calling off and asking again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import apsw
import orjson

from laneway.store.books import Left, Place, choose, price
from laneway.store.budgets import NO_LIMITS, Limits
from laneway.store.cells import Pick
from laneway.store.sqlite import flows, sharing, spending
from laneway.store.sqlite.pruning import is_pruned
from laneway.store.sqlite.results import fail
from laneway.store.sqlite.runs import requeue
from laneway.store.sqlite.transaction import Transaction
from laneway.task import Attempt, Failure, FailureClass, Outcome, State, Urgency, is_flow, needs_account

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
    SELECT task_id, submitted_at, deadline, spec_id, route_id, complaint, body, parent_id, tags, team FROM payload
    WHERE task_id IN (SELECT value FROM json_each(?))
"""
OPEN_ATTEMPT = """
    INSERT INTO attempt (task_id, fence, call, run_id, worker_id, model, account, started_at,
                         reserved_input, reserved_output, reserved_cost, cell_id)
    VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
STATES = """
    SELECT t.id, t.cell_id, t.state FROM task t JOIN cell c ON c.id = t.cell_id
    WHERE t.id IN (SELECT value FROM json_each(?)) AND (c.shelf = 0 OR c.aside = 1)
"""
OF_CALL = """
    FROM attempt a JOIN payload p ON p.task_id = a.task_id WHERE a.task_id = ? AND a.fence = ? AND a.call = ?
"""
PLACE_OF_CALL = f"SELECT a.cell_id, p.spec_id {OF_CALL.replace('call = ?', 'call = 0')}"


class Taken(NamedTuple):
    """What a pick gave, before the documents are read: rows of ``TAKE``, and those of ``PAYLOADS`` by task."""

    pick: Pick
    cell: Cell
    tasks: Sequence[tuple[Any, ...]]
    payloads: Mapping[int, tuple[Any, ...]]


class Cell(NamedTuple):
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
    left = spending.left(tx, limits, now)
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
        model = "" if is_flow(cell.model) else cell.model
        place = (cell.run_id, worker, model, pick.account, now)
        for _, id_, fence, _, _, _, _, input_tokens, output_tokens, _ in rows:
            cost = price(pick, input_tokens, output_tokens)
            if cost:
                reserved[cell.run_id] += cost
                tx.books.add(now, pick.account, cell.id, payloads[id_][3], reserved=cost)
            attempts.append((id_, fence, *place, input_tokens, output_tokens, cost, cell.id))
        taken.append(Taken(pick, cell, rows, payloads))
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
    places = tx.db.cursor()
    found = (
        (id_, Place(pick.account, cell.lane, tx.books.type_of(spec_id)), price(pick, input_tokens, output_tokens))
        for id_, input_tokens, output_tokens, spec_id in places.execute(NEXT, (cell.id, pick.n + left.looked_at))
    )
    chosen = choose(left, found, pick.n, free, priced=not needs_account(cell.model))
    places.close()
    if chosen.held:
        spending.hold(tx, cell.id, chosen.held, left.until)
    if chosen.passed:
        spending.hold(tx, cell.id, chosen.passed, left.soon)
    ids = chosen.ids
    return tx.db.execute(TAKE_THESE, (worker, left.counted_from, now, orjson.dumps(ids).decode())) if ids else ()


def cancel(tx: Transaction, task_ids: Sequence[int], now: float) -> int:
    changed = 0
    ended: list[int] = []
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
            ended.append(id_)
            changed += 1
    flows.tell(tx, ended, now)
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
        if not spending.left(tx, limits, a.started_at).allows(place, priced=a.reserved_cost is not None):
            return False
    if not spending.affords(tx, run_id, a.reserved_cost):
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
