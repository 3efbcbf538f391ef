"""The queue: waking, claiming; calling off and asking again; the calls of Python tasks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from laneway.store.books import Left, Place, choose, price
from laneway.store.budgets import NO_LIMITS, Limits
from laneway.store.cells import Pick
from laneway.store.postgres import flows, sharing, spending
from laneway.store.postgres.cells import Cell, Cells
from laneway.store.postgres.connection import Db, array, first, json, rows, run, scalar
from laneway.store.postgres.documents import Documents
from laneway.store.postgres.results import fail_all
from laneway.store.postgres.runs import requeue_all
from laneway.store.postgres.transaction import Transaction
from laneway.task import Attempt, Claimed, Failure, FailureClass, Outcome, State, Urgency, is_flow, needs_account

NEXT_WAKE = "SELECT wake_at FROM laneway.task WHERE state = 'waiting' AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1"
DUE = """
    SELECT id, cell_id, twin_id FROM laneway.task WHERE state = 'waiting' AND wake_at <= %s
    ORDER BY wake_at LIMIT 1000 FOR UPDATE SKIP LOCKED
"""
READY = "UPDATE laneway.task SET state = 'ready', wake_at = NULL, wait_reason = NULL WHERE id = ANY(%s)"
LOCK_RUNS = "SELECT 1 FROM laneway.run WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
FREE = """
    SELECT r.id, r.max_cost + r.budget_base - coalesce(sum(c.spent), 0) - greatest(0, coalesce(sum(c.reserved), 0))
    FROM laneway.run r LEFT JOIN laneway.run_cost c ON c.run_id = r.id WHERE r.id = ANY(%s) GROUP BY r.id
"""
HAS_BUDGET = "SELECT 1 FROM laneway.run WHERE id = %s AND max_cost IS NOT NULL"
_NEXT = "SELECT id FROM laneway.task WHERE cell_id = p.cell_id AND state = 'ready' ORDER BY due_at, id LIMIT p.n"
_THESE = "SELECT id FROM laneway.task WHERE id = ANY(%(ids)s) AND cell_id = p.cell_id AND state = 'ready'"
# The update finds its rows by an array of ids: a join's size would be guessed, and guessed wrong.
_TAKE = """
    WITH pick AS MATERIALIZED (
        SELECT * FROM unnest(%(cells)s::bigint[], %(n)s::bigint[], %(models)s::text[], %(accounts)s::text[],
                             %(input_prices)s::float8[], %(output_prices)s::float8[], %(runs)s::bigint[])
                      WITH ORDINALITY AS p (cell_id, n, model, account, input_price, output_price, run_id, place)
        {where}
    ), found AS MATERIALIZED (
        SELECT f.id FROM pick p CROSS JOIN LATERAL ({find} FOR UPDATE SKIP LOCKED) f
    ), taken AS (
        UPDATE laneway.task SET state = 'running', worker_id = %(worker)s, fence = fence + 1,
            begun_at = CASE WHEN begun_at >= %(counted_from)s THEN begun_at ELSE %(now)s END
        WHERE id = ANY(ARRAY(SELECT id FROM found))
        RETURNING cell_id, due_at, id, run_id, fence, attempts, refusals, losses, key, input_tokens, output_tokens,
                  begun_at
    ), opened AS (
        INSERT INTO laneway.attempt (task_id, fence, call, run_id, worker_id, model, account, started_at,
                                     reserved_input, reserved_output, reserved_cost, cell_id)
        SELECT t.id, t.fence, 0, t.run_id, %(worker)s, p.model, p.account, %(now)s, t.input_tokens, t.output_tokens,
               (t.input_tokens * p.input_price + t.output_tokens * p.output_price) / 1e6, t.cell_id
        FROM taken t JOIN pick p USING (cell_id)
    )
    SELECT p.place, t.due_at, t.id, t.fence, t.attempts, t.refusals, t.losses, t.key, t.input_tokens, t.output_tokens,
           t.begun_at, l.submitted_at, l.deadline, l.spec_id, l.route_id, l.complaint, l.body,
           l.parent_id, l.tags, l.team
    FROM taken t JOIN pick p USING (cell_id) JOIN laneway.payload l ON l.task_id = t.id ORDER BY 1, 2, 3
"""
_FREE = "WHERE NOT EXISTS (SELECT 1 FROM laneway.run r WHERE r.id = p.run_id AND r.max_cost IS NOT NULL)"
TAKE = _TAKE.format(find=_NEXT, where=_FREE)
TAKE_THESE = _TAKE.format(find=_THESE, where="")
LOOK = """
    SELECT t.id, t.input_tokens, t.output_tokens, d.type FROM laneway.task t
    JOIN laneway.payload p ON p.task_id = t.id JOIN laneway.document d ON d.id = p.spec_id
    WHERE t.cell_id = %s AND t.state = 'ready' ORDER BY t.due_at, t.id LIMIT %s
"""
STATES = """
    SELECT t.id, t.cell_id, t.state FROM laneway.task t JOIN laneway.cell c ON c.id = t.cell_id
    WHERE t.id = ANY(%s) AND (NOT c.shelf OR c.aside) ORDER BY t.id FOR UPDATE OF t
"""
FULL = "SELECT task_id FROM laneway.payload WHERE task_id = ANY(%s) AND length(body) > 0"  # not pruned
PLACE_OF_CALL = """
    SELECT a.cell_id, p.spec_id, c.lane, d.type FROM laneway.attempt a
    JOIN laneway.payload p ON p.task_id = a.task_id JOIN laneway.document d ON d.id = p.spec_id
    JOIN laneway.cell c ON c.id = a.cell_id WHERE a.task_id = %s AND a.fence = %s AND a.call = 0
"""
OPEN_CALL = """
    INSERT INTO laneway.attempt (task_id, fence, call, run_id, worker_id, model, account, started_at,
                                 reserved_input, reserved_output, reserved_cost, cell_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, 0, %s, %s)
"""
CALL = """
    SELECT a.outcome, a.latency, a.run_id, coalesce(a.reserved_cost, 0), a.started_at, a.account, a.cell_id, p.spec_id
    FROM laneway.attempt a JOIN laneway.payload p ON p.task_id = a.task_id
    WHERE a.task_id = %s AND a.fence = %s AND a.call = %s FOR UPDATE OF a
"""
CLOSE_CALL = """
    UPDATE laneway.attempt SET outcome = coalesce(outcome, %s), latency = %s, input_tokens = %s, output_tokens = %s,
           cached_tokens = %s, input_price = %s, output_price = %s, cost = %s, error = %s::jsonb
    WHERE task_id = %s AND fence = %s AND call = %s
"""


class Taken(NamedTuple):
    """A claimed row."""

    due_at: float
    id: int
    fence: int
    attempts: int
    refusals: int
    losses: int
    key: str | None
    input_tokens: int
    output_tokens: int
    begun_at: float
    submitted_at: float
    deadline: float | None
    spec_id: int
    route_id: int
    complaint: str | None
    body: bytes
    parent_id: int | None
    tags: list[str] | None
    team: str | None


class Claiming(NamedTuple):
    """Who claims, and when."""

    worker: str
    now: float
    counted_from: float


def wake(tx: Transaction, now: float) -> None:
    due = rows(tx.db, DUE, (now,))
    alone = [(id_, cell) for id_, cell, twin in due if twin is None]
    if alone:
        run(tx.db, READY, ([id_ for id_, _ in alone],))
        for cell, n in Counter(cell for _, cell in alone).items():
            tx.move(cell, State.WAITING, State.READY, n)
    if twins := [(id_, cell, twin) for id_, cell, twin in due if twin is not None]:
        sharing.look(tx, twins, now)


# claiming -------------------------------------------------------------------------------------------------------------
def claim(
    tx: Transaction,
    documents: Documents,
    known: Cells,
    worker: str,
    picks: Sequence[Pick],
    now: float,
    limits: Limits = NO_LIMITS,
) -> list[Claimed]:
    left = spending.left(tx, limits, now)
    cells = known.read(tx.db, {pick.cell_id for pick in picks})
    wanted = [(pick, cells[pick.cell_id]) for pick in picks if pick.n > 0 and pick.cell_id in cells]
    who = Claiming(worker, now, left.counted_from)
    limited = [at for at, (_, cell) in enumerate(wanted) if left.limited or cell.limited]
    taken: dict[int, list[Taken]] = {}
    for wave in _waves(wanted, set(limited)):
        for place, *row in _take(tx, who, [wanted[at] for at in wave], TAKE):
            taken.setdefault(wave[place - 1], []).append(Taken(*row))
    if bare := [at for at in range(len(wanted)) if at not in taken and at not in limited]:
        now_as = known.again(tx.db, {wanted[at][1].id for at in bare})
        wanted = [(pick, now_as.get(cell.id, cell)) for pick, cell in wanted]
        limited += [at for at in bare if wanted[at][1].limited]  # their run has got a budget since it was looked at
    if limited:
        free = _free(tx, {cell.run_id for _, cell in (wanted[at] for at in limited) if cell.limited})
        for at in limited:
            taken[at] = _take_limited(tx, who, *wanted[at], free, left)
    claimed = [(*wanted[at], row) for at in sorted(taken) for row in taken[at]]
    _book(tx, claimed, now)
    documents.read(tx.db, {number for *_, row in claimed for number in (row.spec_id, row.route_id)})
    return [_claimed(documents, *one, now) for one in claimed]


def _waves(wanted: Sequence[tuple[Pick, Cell]], limited: set[int]) -> Iterator[list[int]]:
    """Places of picks that one statement may take: none of a cell twice, whose rows it would not see as taken."""
    rest = [at for at in range(len(wanted)) if at not in limited]
    while rest:
        wave: dict[int, int] = {}
        for at in rest:
            wave.setdefault(wanted[at][1].id, at)
        yield list(wave.values())
        rest = [at for at in rest if wave[wanted[at][1].id] != at]


def _take(
    tx: Transaction, who: Claiming, picks: Sequence[tuple[Pick, Cell]], sql: str, ids: Sequence[int] = ()
) -> list[tuple[Any, ...]]:
    return rows(
        tx.db,
        sql,
        {
            "worker": who.worker,
            "now": who.now,
            "counted_from": who.counted_from,
            "ids": list(ids),
            "cells": array(pick.cell_id for pick, _ in picks),
            "runs": array(cell.run_id for _, cell in picks),
            "n": array(pick.n for pick, _ in picks),
            "models": ["" if is_flow(cell.model) else cell.model for _, cell in picks],
            "accounts": [pick.account for pick, _ in picks],
            "input_prices": array(pick.input_price for pick, _ in picks),
            "output_prices": array(pick.output_price for pick, _ in picks),
        },
    )


def _free(tx: Transaction, run_ids: Iterable[int]) -> dict[int, float]:
    """USD that runs may still spend. From here on nobody else claims of them until this transaction ends."""
    ids = list(run_ids)
    if not ids:
        return {}
    tx.flush()
    run(tx.db, LOCK_RUNS, (ids,))
    return dict(rows(tx.db, FREE, (ids,)))


def _take_limited(
    tx: Transaction, who: Claiming, pick: Pick, cell: Cell, free: dict[int, float], left: Left
) -> list[Taken]:
    """The next tasks of the cell that the run's budget (``free``: USD) and the day's allow."""
    found = (
        (id_, Place(pick.account, cell.lane, type_), price(pick, input_tokens, output_tokens))
        for id_, input_tokens, output_tokens, type_ in rows(tx.db, LOOK, (cell.id, pick.n + left.looked_at))
    )
    chosen = choose(left, found, pick.n, free.get(cell.run_id), priced=not needs_account(cell.model))
    if chosen.held:
        spending.hold(tx, cell.id, chosen.held, left.until)
    if chosen.passed:
        spending.hold(tx, cell.id, chosen.passed, left.soon)
    if not chosen.ids:
        return []
    taken = [Taken(*row[1:]) for row in _take(tx, who, [(pick, cell)], TAKE_THESE, chosen.ids)]
    if cell.run_id in free:
        free[cell.run_id] -= sum(price(pick, row.input_tokens, row.output_tokens) or 0.0 for row in taken)
    return taken


def _book(tx: Transaction, claimed: Sequence[tuple[Pick, Cell, Taken]], now: float) -> None:
    """What was claimed, in the counters; what it reserves, in the books of its run and day."""
    counts: Counter[int] = Counter()
    reserved: dict[int, float] = defaultdict(float)
    for pick, cell, row in claimed:
        counts[cell.id] += 1
        if cost := price(pick, row.input_tokens, row.output_tokens):
            reserved[cell.run_id] += cost
            tx.books.add(now, pick.account, cell.id, row.spec_id, reserved=cost)
    for cell_id, n in counts.items():
        tx.move(cell_id, State.READY, State.RUNNING, n)
    for run_id, cost in reserved.items():
        tx.spend(run_id, reserved=cost)


def _claimed(documents: Documents, pick: Pick, cell: Cell, row: Taken, now: float) -> Claimed:
    return Claimed(
        id=row.id,
        run_id=cell.run_id,
        cell_id=cell.id,
        fence=row.fence,
        attempts=row.attempts,
        refusals=row.refusals,
        losses=row.losses,
        key=row.key,
        model=cell.model,
        lane=cell.lane,
        urgency=Urgency(cell.urgency),
        account=pick.account,
        route=documents.route(row.route_id),
        spec=documents.spec(row.spec_id),
        body=row.body,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        submitted_at=row.submitted_at,
        claimed_at=now,
        begun_at=row.begun_at,
        deadline=row.deadline,
        complaint=row.complaint,
        due_at=row.due_at,
        parent=row.parent_id,
        tags=tuple(row.tags or ()),
        team=row.team,
    )


# calling off and asking again -----------------------------------------------------------------------------------------
def cancel(tx: Transaction, task_ids: Sequence[int], now: float) -> int:
    running: list[int] = []
    waiting: list[int] = []
    for id_, cell, state in _states(tx.db, task_ids):
        if state is State.RUNNING:
            running.append(id_)
        elif not state.ended:
            waiting.append(id_)
            tx.move(cell, state, State.CANCELLED)
    if running:
        run(tx.db, "UPDATE laneway.task SET cancel_requested = true WHERE id = ANY(%s)", (running,))
    if waiting:
        run(
            tx.db,
            "UPDATE laneway.task SET state = 'cancelled', wake_at = NULL, wait_reason = NULL WHERE id = ANY(%s)",
            (waiting,),
        )
        fail_all(tx, waiting, Failure(FailureClass.REQUEST, "cancelled", "cancelled before it started"), now)
        flows.tell(tx, waiting, now)
    return len(running) + len(waiting)


def retry(tx: Transaction, task_ids: Sequence[int]) -> int:
    ended = [row for row in _states(tx.db, task_ids) if row[2] in (State.FAILED, State.CANCELLED)]
    full = {id_ for (id_,) in rows(tx.db, FULL, ([id_ for id_, _, _ in ended],))}
    again = [row for row in ended if row[0] in full]
    requeue_all(tx, again)
    return len(again)


def _states(db: Db, task_ids: Sequence[int]) -> list[tuple[int, int, State]]:
    return [(id_, cell, State(state)) for id_, cell, state in rows(db, STATES, (list(task_ids),))]


# calls of Python tasks ------------------------------------------------------------------------------------------------
def record_call(tx: Transaction, worker: str, attempt: Attempt, run_id: int, limits: Limits = NO_LIMITS) -> bool:
    """Open or close a ledger line of a Python task's own call (``call`` ≥ 1)."""
    a = attempt
    if a.outcome is not None:
        _close_call(tx, a, a.outcome)
        return True
    cell_id, spec_id, lane, type_ = first(tx.db, PLACE_OF_CALL, (a.task_id, a.fence)) or (None, 0, "", "")
    if cell_id is not None and limits:
        place = Place(a.account, lane, type_)
        if not spending.left(tx, limits, a.started_at).allows(place, priced=a.reserved_cost is not None):
            return False
    if scalar(tx.db, HAS_BUDGET, (run_id,)) is not None:
        cost, free = a.reserved_cost, _free(tx, [run_id])[run_id]
        if cost is None or cost > free:  # a price that nobody knows is too high
            return False
    line = (a.task_id, a.fence, a.call, run_id, worker, a.model, a.account, a.started_at, a.reserved_cost, cell_id)
    run(tx.db, OPEN_CALL, line)
    reserved = a.reserved_cost or 0.0
    tx.books.add(a.started_at, a.account, cell_id, spec_id, reserved=reserved)
    tx.spend(run_id, reserved=reserved)
    return True


def _close_call(tx: Transaction, a: Attempt, outcome: Outcome) -> None:
    line = (a.task_id, a.fence, a.call)
    found = first(tx.db, CALL, line)
    if found is None:
        return
    before, latency, run_id, reserved, started_at, account, cell_id, spec_id = found
    lost = before == Outcome.LOST and latency is None
    if before is not None and not lost:
        return  # it is closed
    tokens = (a.usage.input_tokens, a.usage.output_tokens, a.usage.cached_tokens) if a.usage else (None, None, None)
    prices = (a.input_price, a.output_price, a.cost)
    run(tx.db, CLOSE_CALL, (outcome.value, a.latency, *tokens, *prices, json(a.error or None), *line))
    spent = a.cost or 0.0
    if lost:  # as with a task's own call: the reaper booked what was reserved
        spent, reserved = spent - reserved, 0.0
    tx.books.add(started_at, account, cell_id, spec_id, reserved=-reserved, spent=spent)
    tx.spend(run_id, reserved=-reserved, spent=spent)
