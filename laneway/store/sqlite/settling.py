"""Writing what became of claimed tasks: their books, their next state, their results; many with a few statements."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw
import orjson

from laneway.store.flows import Flow
from laneway.store.sqlite import failing, flows, sharing
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.results import RESULT, error_text
from laneway.store.sqlite.runs import to_model
from laneway.store.sqlite.suspending import finish, suspend
from laneway.store.sqlite.transaction import Transaction
from laneway.task import Outcome, Settlement, State

# With the lines of calls that are open, or were given up as lost before anything was heard of them.
RUNNING = """
    SELECT t.id, t.fence, t.cell_id, t.run_id, t.next_model, t.cancel_requested,
           a.run_id, a.reserved_cost, a.started_at, a.account, a.cell_id
    FROM task t LEFT JOIN attempt a ON a.task_id = t.id AND a.fence = t.fence AND a.call = 0
        AND (a.outcome IS NULL OR (a.outcome = 'lost' AND a.latency IS NULL))
    WHERE t.id IN (SELECT value FROM json_each(?)) AND t.worker_id = ? AND t.state = 'running'
"""
LATE = """
    SELECT task_id, fence, run_id, reserved_cost, started_at, account, cell_id FROM attempt
    WHERE task_id IN (SELECT value FROM json_each(?)) AND call = 0
      AND (outcome IS NULL OR (outcome = 'lost' AND latency IS NULL))
"""
SPECS = "SELECT task_id, spec_id FROM payload WHERE task_id IN (SELECT value FROM json_each(?))"
SETTLE_TASK = """
    UPDATE task SET state = ?, wake_at = ?, wait_reason = ?, worker_id = NULL, attempts = attempts + ?,
        refusals = refusals + ?, result_seq = ?, begun_at = iif(?, NULL, begun_at)
    WHERE id = ?
"""
CLOSE_ATTEMPT = """
    UPDATE attempt SET outcome = coalesce(outcome, ?), latency = ?, input_tokens = ?, output_tokens = ?,
           cached_tokens = ?, input_price = ?, output_price = ?, cost = ?, error = ?
    WHERE task_id = ? AND fence = ? AND call = 0
"""


class Line(NamedTuple):
    """Of the ledger."""

    run_id: int
    reserved_cost: float | None
    started_at: float
    account: str
    cell_id: int | None


class Running(NamedTuple):
    """A task that this worker may settle."""

    cell_id: int
    run_id: int
    next_model: str | None  # set by hand while it ran
    cancel_requested: int
    line: Line | None


def settle(tx: Transaction, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
    ids = orjson.dumps([s.task_id for s in settlements]).decode()
    running = {
        (id_, fence): Running(cell, run, model, cancelled, Line(*line) if line[0] is not None else None)
        for id_, fence, cell, run, model, cancelled, *line in tx.db.execute(RUNNING, (ids, worker))
    }
    accepted = [(s, running.pop((s.task_id, s.fence), None)) for s in settlements]  # one of two for the same task
    _close_attempts(tx, accepted)
    steps = [Flow(s, s.flow, row.run_id, row.cell_id) for s, row in accepted if row and s.flow and _goes_on(s, row)]
    suspended = suspend(tx, steps, now) if steps else {}
    tasks: list[tuple[Any, ...]] = []
    ended: list[tuple[int, Settlement]] = []
    moves: Counter[tuple[int, State]] = Counter()
    for s, row in accepted:
        if row is None:
            continue
        state = State.CANCELLED if row.cancel_requested and not s.state.ended else s.state
        reason = "retry"
        if place := suspended.get(s.task_id):
            state, reason = place.state, s.flow.reason if s.flow else ""
        waits = state is State.WAITING
        seq = None
        if state.ended:
            seq = tx.next_seq()
            ended.append((seq, s))
        refusal = not s.burned and s.counted and s.outcome in (Outcome.RATE_LIMITED, Outcome.TRANSIENT)
        aside = s.outcome is Outcome.ACCOUNT  # what it waits for now is not its own time
        wake_at = s.wake_at if waits else None
        tasks.append((state, wake_at, reason if waits else None, s.burned, refusal, seq, aside, s.task_id))
        if place and place.cell_id != row.cell_id:
            tx.db.execute("UPDATE task SET cell_id = ? WHERE id = ?", (place.cell_id, s.task_id))
            tx.count(row.cell_id, State.RUNNING, -1)
            tx.count(place.cell_id, state, 1)
        else:
            moves[row.cell_id, state] += 1
    tx.db.executemany(SETTLE_TASK, tasks)
    for (cell_id, state), n in moves.items():
        tx.move(cell_id, State.RUNNING, state, n)
    for s, row in accepted:
        if row is not None and (s.model or row.next_model or s.complaint is not None):
            _go_on(tx, s, row)
    tx.db.executemany(RESULT, [_result(tx.db, seq, s, now) for seq, s in ended])
    failing.name(tx, [(s.task_id, s.failure) for _, s in ended if s.state is State.FAILED])
    sharing.rouse(tx, [s.task_id for s, row in accepted if row is not None])
    _tell(tx, [(s, row) for s, row in accepted if row is not None], now)
    return [row is not None for _, row in accepted]


def _goes_on(s: Settlement, row: Running) -> bool:
    return not s.state.ended and not row.cancel_requested


def _tell(tx: Transaction, settled: Sequence[tuple[Settlement, Running]], now: float) -> None:
    """Flows hear of their children, and what flows that ended had begun is called off."""
    for s, row in settled:
        if s.flow is not None:
            if s.state.ended:
                finish(tx, s.task_id, s.flow, now, failed=s.state is not State.SUCCEEDED)
            elif row.cancel_requested:
                flows.close(tx, [s.task_id], now)
    ended = [
        (s.task_id, s.state is not State.SUCCEEDED)
        for s, row in settled
        if s.parent is not None and (s.state.ended or row.cancel_requested)
    ]
    if ended:
        flows.count_down(tx, ended)


def _go_on(tx: Transaction, s: Settlement, row: Running) -> None:
    """With another model, or the same one and what it did wrong. An ended task may have an earlier model's answer."""
    if s.state.ended:
        if s.model:
            to_model(tx, s.task_id, row.run_id, row.cell_id, s.state, s.model)
    elif (model := row.next_model or s.model) and not row.cancel_requested:
        to_model(tx, s.task_id, row.run_id, row.cell_id, s.state, model, by_hand=row.next_model is not None)
    if s.complaint is not None:
        tx.db.execute("UPDATE payload SET complaint = ? WHERE task_id = ?", (s.complaint, s.task_id))


def _close_attempts(tx: Transaction, settled: Sequence[tuple[Settlement, Running | None]]) -> None:
    late = _late_lines(tx, settled)
    closed: list[tuple[Any, ...]] = []
    priced: list[tuple[int, Line, float, float]] = []  # (task, line, reserved, spent)
    for s, row in settled:
        line = late.pop((s.task_id, s.fence), None) if row is None else row.line
        if line is None:
            continue
        usage = s.usage
        tokens = (usage.input_tokens, usage.output_tokens, usage.cached_tokens) if usage else (None, None, None)
        prices = (s.input_price, s.output_price, s.cost)
        closed.append((s.outcome, s.latency, *tokens, *prices, error_text(s.failure), s.task_id, s.fence))
        reserved, spent = line.reserved_cost or 0.0, s.cost or 0.0
        if row is None:  # the reaper booked what was reserved; the real cost is known now
            reserved, spent = 0.0, spent - reserved
        if reserved or spent:
            priced.append((s.task_id, line, reserved, spent))
    tx.db.executemany(CLOSE_ATTEMPT, closed)
    if priced:
        _book(tx, priced)


def _late_lines(tx: Transaction, settled: Sequence[tuple[Settlement, Running | None]]) -> dict[tuple[int, int], Line]:
    """By task and fence, of those tasks that are somebody else's by now."""
    late = [s.task_id for s, row in settled if row is None]
    if not late:
        return {}
    closed = {(s.task_id, s.fence) for s, row in settled if row is not None}  # one of two for the same task
    found = tx.db.execute(LATE, (orjson.dumps(late).decode(),))
    return {(id_, fence): Line(*row) for id_, fence, *row in found if (id_, fence) not in closed}


def _book(tx: Transaction, priced: Sequence[tuple[int, Line, float, float]]) -> None:
    """What calls cost, in the books of their runs and days."""
    ids = orjson.dumps([task_id for task_id, *_ in priced]).decode()
    specs: dict[int, int] = dict(tx.db.execute(SPECS, (ids,)))
    runs: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for task_id, line, reserved, spent in priced:
        sums = runs[line.run_id]
        sums[0] += reserved
        sums[1] += spent
        tx.books.add(line.started_at, line.account, line.cell_id, specs[task_id], reserved=-reserved, spent=spent)
    for run_id, (reserved, spent) in runs.items():
        tx.db.execute(
            "UPDATE run SET reserved = max(0, reserved - ?), spent = spent + ? WHERE id = ?",
            (reserved, spent, run_id),
        )


def _result(db: apsw.Connection, seq: int, s: Settlement, now: float) -> tuple[Any, ...]:
    failure = None if s.state is State.SUCCEEDED else s.failure  # its last call may have failed all the same
    return (seq, s.task_id, now, _task_cost(db, s), s.request_id, error_text(failure), s.output)


def _task_cost(db: apsw.Connection, s: Settlement) -> float | None:
    """What the task cost over all attempts; None when the deciding one's price is unknown."""
    if s.cost is None and s.usage is not None:
        return None
    if s.fence == 1:
        return s.cost
    total = scalar(db, "SELECT total(cost) FROM attempt WHERE task_id = ? AND call = 0", (s.task_id,))
    return float(total)
