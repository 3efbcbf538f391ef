"""What becomes of claimed tasks: their books, their next state, their results; many with a few statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from laneway.store.flows import Flow, Suspended
from laneway.store.postgres import ending, failing, flows, sharing
from laneway.store.postgres.connection import array, rows, run, text
from laneway.store.postgres.ledger import Line, close, error_json, late_lines
from laneway.store.postgres.runs import to_model
from laneway.store.postgres.suspending import finish, suspend
from laneway.store.postgres.transaction import Transaction
from laneway.task import Outcome, Settlement, State

# `call + 0`, IS NOT DISTINCT FROM: as in ending.py.
# Nobody else closes a call while its task is locked.
RUNNING = """
    SELECT t.id, t.fence, t.cell_id, t.run_id, t.next_model, t.cancel_requested,
           a.task_id IS NOT NULL, a.reserved_cost, a.started_at, a.account, a.cell_id
    FROM laneway.task t LEFT JOIN laneway.attempt a
        ON a.task_id = t.id AND a.fence = t.fence AND a.call + 0 = 0
           AND (a.outcome IS NULL OR (a.outcome = 'lost' AND a.latency IS NULL))
    WHERE t.id = ANY(%s::bigint[]) AND t.worker_id IS NOT DISTINCT FROM %s AND t.state IS NOT DISTINCT FROM 'running'
    ORDER BY t.id FOR UPDATE OF t
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
MOVE = """
    UPDATE laneway.task t SET cell_id = m.cell_id FROM unnest(%s::bigint[], %s::bigint[]) AS m (id, cell_id)
    WHERE t.id = m.id
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


class Running(NamedTuple):
    """A task that this worker may settle."""

    cell_id: int
    run_id: int
    next_model: str | None  # set by hand while it ran
    cancel_requested: bool


Accepted = list[tuple[Settlement, Running]]


def settle(tx: Transaction, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
    plain = {s.task_id: s for s in reversed(settlements) if ending.is_plain(s)}  # the first of two for the same task
    ended = ending.end(tx, worker, list(plain.values()), now) if plain else set()
    done = [s.task_id in ended and plain[s.task_id] is s for s in settlements]
    _tell(tx, [(s.task_id, s.parent, s.state) for s, is_done in zip(settlements, done, strict=True) if is_done])
    if rest := [s for s, is_done in zip(settlements, done, strict=True) if not is_done]:
        accepted = iter(_settle(tx, worker, rest, now))
        done = [is_done or next(accepted) for is_done in done]
    failing.name(
        tx, [(s.task_id, s.failure) for s, ok in zip(settlements, done, strict=True) if ok and s.state is State.FAILED]
    )
    return done


def _settle(tx: Transaction, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
    """Those that go on, that had several tries, or whose task is somebody else's by now."""
    running: dict[tuple[int, int], Running] = {}
    lines: dict[tuple[int, int], Line] = {}
    for id_, fence, *row in rows(tx.db, RUNNING, (array(s.task_id for s in settlements), worker)):
        of = running[id_, fence] = Running(*row[:4])
        if row[4]:
            lines[id_, fence] = Line(of.run_id, *row[5:])
    found = [(s, running.pop((s.task_id, s.fence), None)) for s in settlements]  # one of two for the same task
    accepted = [(s, row) for s, row in found if row is not None]
    late = [s for s, row in found if row is None]
    close(tx, [s for s, _ in accepted], lines, late=False)
    close(tx, late, late_lines(tx, late), late=True)
    if accepted:
        steps = [Flow(s, s.flow, row.run_id, row.cell_id) for s, row in accepted if s.flow and _goes_on(s, row)]
        _write(tx, accepted, suspend(tx, steps, now) if steps else {}, now)
        _go_on(tx, accepted)
        sharing.rouse(tx, [s.task_id for s, _ in accepted])
        _finish(tx, accepted, now)
        _tell(tx, [(s.task_id, s.parent, _last_state(s, row)) for s, row in accepted])
    return [row is not None for _, row in found]


def _goes_on(s: Settlement, row: Running) -> bool:
    return not s.state.ended and not row.cancel_requested


def _last_state(s: Settlement, row: Running) -> State:
    return State.CANCELLED if row.cancel_requested and not s.state.ended else s.state


def _finish(tx: Transaction, accepted: Accepted, now: float) -> None:
    """What flows that ended had begun is called off."""
    for s, row in accepted:
        if s.flow is not None:
            if s.state.ended:
                finish(tx, s.task_id, s.flow, now, failed=s.state is not State.SUCCEEDED)
            elif row.cancel_requested:
                flows.close(tx, [s.task_id], now)


def _tell(tx: Transaction, settled: Iterable[tuple[int, int | None, State]]) -> None:
    """Flows hear of their children: of (task, flow that began it, state)."""
    ended = [(id_, parent, state) for id_, parent, state in settled if parent is not None and state.ended]
    if ended:
        rows(tx.db, flows.LOCK, (sorted({parent for _, parent, _ in ended}),))
        flows.count_down(tx, [(id_, state is not State.SUCCEEDED) for id_, _, state in ended])


def _write(tx: Transaction, accepted: Accepted, suspended: Mapping[int, Suspended], now: float) -> None:
    """The tasks' next states, and the results of those that end."""
    tasks: list[tuple[Any, ...]] = []
    ended: list[tuple[int, Settlement]] = []
    moves: Counter[tuple[int, State]] = Counter()
    moved: list[tuple[int, int]] = []  # flows, and the cells where they are queued now
    for s, row in accepted:
        state = _last_state(s, row)
        reason = "retry"
        if place := suspended.get(s.task_id):
            state, reason = place.state, s.flow.reason.value if s.flow else ""
        waits = state is State.WAITING
        seq = None
        if state.ended:
            seq = tx.next_seq()
            ended.append((seq, s))
        refused = not s.burned and s.counted and s.outcome in (Outcome.RATE_LIMITED, Outcome.TRANSIENT)
        aside = s.outcome is Outcome.ACCOUNT  # what it waits for now is not its own time
        wake_at = s.wake_at if waits else None
        why = reason if waits else None
        tasks.append((s.task_id, state.value, wake_at, why, int(s.burned), int(refused), seq, aside))
        if place and place.cell_id != row.cell_id:
            moved.append((s.task_id, place.cell_id))
            tx.count(row.cell_id, State.RUNNING, -1)
            tx.count(place.cell_id, state, 1)
        else:
            moves[row.cell_id, state] += 1
    run(tx.db, SETTLE, [array(column) for column in zip(*tasks, strict=True)])
    if moved:
        run(tx.db, MOVE, [array(column) for column in zip(*moved, strict=True)])
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
        columns.append((seq, s.task_id, _task_cost(s, totals), start, length, text(s.request_id), error_json(failure)))
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
