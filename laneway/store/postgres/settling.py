"""What becomes of claimed tasks: their books, their next state, their results; many with a few statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from laneway.store.postgres import sharing
from laneway.store.postgres.connection import array, json, rows, run, text
from laneway.store.postgres.runs import to_model
from laneway.store.postgres.transaction import Transaction
from laneway.task import Failure, Outcome, Settlement, State

# `call + 0`: a plan made while the ledger was empty would else look all its lines through for their `call`.
# Nobody else closes a call while its task is locked.
RUNNING = """
    SELECT t.id, t.fence, t.cell_id, t.run_id, t.next_model, t.cancel_requested,
           a.task_id IS NOT NULL, a.reserved_cost, a.started_at, a.account, a.cell_id
    FROM laneway.task t LEFT JOIN laneway.attempt a
        ON a.task_id = t.id AND a.fence = t.fence AND a.call + 0 = 0
           AND (a.outcome IS NULL OR (a.outcome = 'lost' AND a.latency IS NULL))
    WHERE t.id = ANY(%s::bigint[]) AND t.worker_id = %s AND t.state = 'running' ORDER BY t.id FOR UPDATE OF t
"""
# Of calls that were given up as lost before anything was heard of them.
LATE = """
    SELECT a.task_id, a.fence, a.run_id, a.reserved_cost, a.started_at, a.account, a.cell_id
    FROM unnest(%s::bigint[], %s::bigint[]) AS s (id, fence) JOIN laneway.attempt a
        ON a.task_id = s.id AND a.fence = s.fence AND a.call + 0 = 0
           AND (a.outcome IS NULL OR (a.outcome = 'lost' AND a.latency IS NULL))
    ORDER BY 1, 2 FOR UPDATE OF a
"""
SPECS = "SELECT task_id, spec_id FROM laneway.payload WHERE task_id = ANY(%s::bigint[])"
CLOSE = """
    UPDATE laneway.attempt a SET outcome = coalesce(a.outcome, s.outcome), latency = s.latency,
        input_tokens = s.input_tokens, output_tokens = s.output_tokens, cached_tokens = s.cached_tokens,
        input_price = s.input_price, output_price = s.output_price, cost = s.cost, error = s.error
    FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::float8[], %s::bigint[], %s::bigint[], %s::bigint[],
                %s::float8[], %s::float8[], %s::float8[], %s::jsonb[])
         AS s (id, fence, outcome, latency, input_tokens, output_tokens, cached_tokens, input_price, output_price, cost,
               error)
    WHERE a.task_id = s.id AND a.fence = s.fence AND a.call + 0 = 0
"""
SETTLE = """
    UPDATE laneway.task t SET state = s.state, wake_at = s.wake_at, wait_reason = s.wait_reason, worker_id = NULL,
        attempts = t.attempts + s.burned, refusals = t.refusals + s.refused, result_seq = s.seq,
        begun_at = CASE WHEN s.aside THEN NULL ELSE t.begun_at END
    FROM unnest(%s::bigint[], %s::text[], %s::float8[], %s::text[], %s::integer[], %s::integer[], %s::bigint[],
                %s::boolean[])
         AS s (id, state, wake_at, wait_reason, burned, refused, seq, aside)
    WHERE t.id = s.id
"""
# The outputs come as one string of bytes: an array of them would be written out as text and read again.
RESULTS = """
    INSERT INTO laneway.result (seq, task_id, settled_at, cost, request_id, error, output)
    SELECT seq, task_id, %s, cost, request_id, error, substring(%b::bytea FROM s.start FOR s.length)
    FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::text[], %s::jsonb[], %s::integer[], %s::integer[])
         AS s (seq, task_id, cost, request_id, error, start, length)
"""
COSTS = """
    SELECT task_id, coalesce(sum(cost), 0) FROM laneway.attempt WHERE task_id = ANY(%s::bigint[]) AND call = 0
    GROUP BY task_id
"""
COMPLAIN = """
    UPDATE laneway.payload p SET complaint = s.complaint
    FROM unnest(%s::bigint[], %s::text[]) AS s (id, complaint) WHERE p.task_id = s.id
"""
NO_RESULTS = """
    WITH s AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[]) AS s (seq, task_id)),
    written AS (
        INSERT INTO laneway.result (seq, task_id, settled_at, error) SELECT seq, task_id, %s, %s::jsonb FROM s
    )
    UPDATE laneway.task t SET result_seq = s.seq FROM s WHERE t.id = s.task_id
"""


class Running(NamedTuple):
    """A task that this worker may settle."""

    cell_id: int
    run_id: int
    next_model: str | None  # set by hand while it ran
    cancel_requested: bool


class Line(NamedTuple):
    """Of the ledger."""

    run_id: int
    reserved_cost: float | None
    started_at: float
    account: str
    cell_id: int | None


Accepted = list[tuple[Settlement, Running]]


def settle(tx: Transaction, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
    running: dict[tuple[int, int], Running] = {}
    lines: dict[tuple[int, int], Line] = {}
    for id_, fence, *row in rows(tx.db, RUNNING, (array(s.task_id for s in settlements), worker)):
        of = running[id_, fence] = Running(*row[:4])
        if row[4]:
            lines[id_, fence] = Line(of.run_id, *row[5:])
    found = [(s, running.pop((s.task_id, s.fence), None)) for s in settlements]  # one of two for the same task
    accepted = [(s, row) for s, row in found if row is not None]
    late = [s for s, row in found if row is None]
    _close(tx, [s for s, _ in accepted], lines, late=False)
    _close(tx, late, _late_lines(tx, late), late=True)
    if accepted:
        _write(tx, accepted, now)
        _go_on(tx, accepted)
        sharing.rouse(tx, [s.task_id for s, _ in accepted])
    return [row is not None for _, row in found]


def _write(tx: Transaction, accepted: Accepted, now: float) -> None:
    """The tasks' next states, and the results of those that end."""
    tasks: list[tuple[Any, ...]] = []
    ended: list[tuple[int, Settlement]] = []
    moves: Counter[tuple[int, State]] = Counter()
    for s, row in accepted:
        state = State.CANCELLED if row.cancel_requested and not s.state.ended else s.state
        waits = state is State.WAITING
        seq = None
        if state.ended:
            seq = tx.next_seq()
            ended.append((seq, s))
        refused = not s.burned and s.counted and s.outcome in (Outcome.RATE_LIMITED, Outcome.TRANSIENT)
        aside = s.outcome is Outcome.ACCOUNT  # what it waits for now is not its own time
        wake_at, reason = (s.wake_at, "retry") if waits else (None, None)
        tasks.append((s.task_id, state.value, wake_at, reason, int(s.burned), int(refused), seq, aside))
        moves[row.cell_id, state] += 1
    run(tx.db, SETTLE, [array(column) for column in zip(*tasks, strict=True)])
    for (cell_id, state), n in moves.items():
        tx.move(cell_id, State.RUNNING, state, n)
    if ended:
        _write_results(tx, ended, now)


def _write_results(tx: Transaction, ended: Sequence[tuple[int, Settlement]], now: float) -> None:
    tried_before = [s.task_id for _, s in ended if s.fence > 1]
    totals: dict[int, float] = dict(rows(tx.db, COSTS, (array(tried_before),))) if tried_before else {}
    columns: list[tuple[Any, ...]] = []
    outputs: list[bytes] = []
    start = 1
    for seq, s in ended:
        length = None if s.output is None else len(s.output)
        failure = None if s.state is State.SUCCEEDED else s.failure  # its last call may have failed all the same
        columns.append((seq, s.task_id, _task_cost(s, totals), start, length, text(s.request_id), _error(failure)))
        if s.output:
            outputs.append(s.output)
            start += len(s.output)
    seqs, ids, costs, starts, lengths, request_ids, errors = zip(*columns, strict=True)
    numbers = (array(seqs), array(ids), array(costs))
    words = (list(request_ids), list(errors))
    run(tx.db, RESULTS, (now, b"".join(outputs), *numbers, *words, array(starts), array(lengths)))


def _task_cost(s: Settlement, totals: dict[int, float]) -> float | None:
    """What the task cost over all attempts; None when the deciding one's price is unknown."""
    if s.cost is None and s.usage is not None:
        return None
    return s.cost if s.fence == 1 else totals.get(s.task_id, 0.0)


def _go_on(tx: Transaction, accepted: Accepted) -> None:
    """With another model, or the same one and what it did wrong. An ended task may have an earlier model's answer."""
    for s, row in accepted:
        if s.state.ended:
            if s.model:
                to_model(tx, s.task_id, row.run_id, row.cell_id, s.state, s.model)
        elif (model := row.next_model or s.model) and not row.cancel_requested:
            to_model(tx, s.task_id, row.run_id, row.cell_id, s.state, model, by_hand=row.next_model is not None)
    if complaints := {s.task_id: text(s.complaint) for s, _ in accepted if s.complaint is not None}:
        run(tx.db, COMPLAIN, (array(complaints), list(complaints.values())))


# the ledger -----------------------------------------------------------------------------------------------------------
def _late_lines(tx: Transaction, late: Sequence[Settlement]) -> dict[tuple[int, int], Line]:
    """Of calls whose tasks are somebody else's by now."""
    if not late:
        return {}
    keys = (array(s.task_id for s in late), array(s.fence for s in late))
    return {(id_, fence): Line(*row) for id_, fence, *row in rows(tx.db, LATE, keys)}


def _close(
    tx: Transaction, settlements: Iterable[Settlement], lines: dict[tuple[int, int], Line], *, late: bool
) -> None:
    closed: list[tuple[Any, ...]] = []
    priced: list[tuple[int, Line, float, float]] = []  # (task, line, reserved, spent)
    for s in settlements:
        line = lines.pop((s.task_id, s.fence), None)
        if line is None:
            continue
        usage = s.usage
        tokens = (usage.input_tokens, usage.output_tokens, usage.cached_tokens) if usage else (None, None, None)
        prices = (s.input_price, s.output_price, s.cost)
        closed.append((s.task_id, s.fence, s.outcome.value, s.latency, *tokens, *prices, _error(s.failure)))
        reserved, spent = line.reserved_cost or 0.0, s.cost or 0.0
        if late:  # the reaper booked what was reserved; the real cost is known now
            reserved, spent = 0.0, spent - reserved
        if reserved or spent:
            priced.append((s.task_id, line, reserved, spent))
    if closed:
        *columns, errors = zip(*closed, strict=True)
        run(tx.db, CLOSE, (*map(array, columns), list(errors)))
    if priced:
        _book(tx, priced)


def _book(tx: Transaction, priced: Sequence[tuple[int, Line, float, float]]) -> None:
    """What calls cost, in the books of their runs and days."""
    specs: dict[int, int] = dict(rows(tx.db, SPECS, (array(task_id for task_id, *_ in priced),)))
    for task_id, line, reserved, spent in priced:
        tx.spend(line.run_id, reserved=-reserved, spent=spent)
        tx.books.add(line.started_at, line.account, line.cell_id, specs[task_id], reserved=-reserved, spent=spent)


def _error(failure: Failure | None) -> str | None:
    return json(failure.as_json()) if failure else None


# tasks that no worker could finish ------------------------------------------------------------------------------------
def fail(tx: Transaction, task_id: int, failure: Failure, now: float) -> None:
    """Write the result of a task that no worker could finish."""
    fail_all(tx, [task_id], failure, now)


def fail_all(tx: Transaction, task_ids: Sequence[int], failure: Failure, now: float) -> None:
    run(tx.db, NO_RESULTS, (array(tx.next_seq() for _ in task_ids), array(task_ids), now, _error(failure)))
