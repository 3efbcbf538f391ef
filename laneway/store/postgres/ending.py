"""Settling tasks that end with their first call, as most do: their state, ledger and results in one statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from laneway.store.postgres import sharing
from laneway.store.postgres.connection import array, rows, sparse, text
from laneway.store.postgres.ledger import error_json
from laneway.store.postgres.transaction import Transaction
from laneway.task import Outcome, Settlement, State

# IS NOT DISTINCT FROM: rows are found by their ids. By `=` an old plan would hold all that this worker runs against
# each of them. `call + 0`: as in ledger.py.
# The outputs come as one string of bytes: an array of them would be written out as text and read again.
END = f"""
    WITH s AS MATERIALIZED (
        SELECT * FROM unnest(
            %(ids)s::bigint[], %(states)s::text[], %(outcomes)s::text[], %(latencies)s::float8[],
            %(input_tokens)s::bigint[], %(output_tokens)s::bigint[], %(cached_tokens)s::bigint[],
            %(input_prices)s::float8[], %(output_prices)s::float8[], %(costs)s::float8[], %(errors)s::jsonb[],
            %(request_ids)s::text[], %(starts)s::integer[], %(lengths)s::integer[]
        ) WITH ORDINALITY AS s (id, state, outcome, latency, input_tokens, output_tokens, cached_tokens,
                                input_price, output_price, cost, error, request_id, start, length, place)
    ), ended AS (
        UPDATE laneway.task t SET state = s.state, wake_at = NULL, wait_reason = NULL, worker_id = NULL,
            attempts = t.attempts + 1, result_seq = %(seq)s + s.place
        FROM s WHERE t.id = s.id AND t.fence = 1 AND t.worker_id IS NOT DISTINCT FROM %(worker)s
                     AND t.state IS NOT DISTINCT FROM 'running'
        RETURNING s.*, t.run_id, t.cell_id
    ), closed AS (
        UPDATE laneway.attempt a SET outcome = coalesce(a.outcome, e.outcome), latency = e.latency,
            input_tokens = e.input_tokens, output_tokens = e.output_tokens, cached_tokens = e.cached_tokens,
            input_price = e.input_price, output_price = e.output_price, cost = e.cost, error = e.error
        FROM ended e WHERE a.task_id = e.id AND a.fence = 1 AND a.call + 0 = 0
                           AND (a.outcome IS NULL OR (a.outcome = 'lost' AND a.latency IS NULL))
        RETURNING e.place, a.task_id, a.run_id, a.cell_id, a.reserved_cost, a.cost, a.started_at, a.account
    ), written AS (
        INSERT INTO laneway.result (seq, task_id, settled_at, cost, request_id, error, output)
        SELECT %(seq)s + place, id, %(now)s, cost, request_id, CASE WHEN state <> 'succeeded' THEN error END,
               substring(%(outputs)b::bytea FROM start FOR length)
        FROM ended
    )
    SELECT place, run_id, cell_id, EXISTS ({sharing.FOLLOWED}), NULL::float8, NULL::float8, NULL::text, NULL::bigint
    FROM ended
    UNION ALL
    SELECT c.place, c.run_id, c.cell_id, false, coalesce(c.reserved_cost, 0), c.started_at, c.account, p.spec_id
    FROM closed c JOIN laneway.payload p ON p.task_id = c.task_id WHERE c.reserved_cost <> 0 OR c.cost <> 0
"""


def is_plain(s: Settlement) -> bool:
    """Whether a settlement may be written here."""
    ends = s.fence == 1 and s.burned and s.state.ended and s.flow is None
    return ends and s.model is None and s.complaint is None and s.outcome is not Outcome.ACCOUNT


def end(tx: Transaction, worker: str, settlements: Sequence[Settlement], now: float) -> set[int]:
    """Settle these, one of a task at most; the ids of those whose tasks this worker has."""
    ending = sorted(settlements, key=lambda s: s.task_id)  # as rows are always locked
    ended: set[int] = set()
    moves: Counter[tuple[int, State]] = Counter()
    followed = False  # somebody may wait for one of them
    for place, run_id, cell_id, waits, reserved, started_at, account, spec_id in _written(tx, worker, ending, now):
        s = ending[place - 1]
        if account is None:
            followed = waits
            ended.add(s.task_id)
            moves[cell_id, s.state] += 1
        else:
            spent = s.cost or 0.0
            tx.spend(run_id, reserved=-reserved, spent=spent)
            tx.books.add(started_at, account, cell_id, spec_id, reserved=-reserved, spent=spent)
    for (cell_id, state), n in moves.items():
        tx.move(cell_id, State.RUNNING, state, n)
    if followed:
        sharing.rouse(tx, list(ended))
    return ended


def _written(tx: Transaction, worker: str, ending: Sequence[Settlement], now: float) -> list[tuple[Any, ...]]:
    """(place from 1, run, cell, whether any task waits for another) of each that ended; then (place, run, cell, …,
    reserved, began, account, spec) by the ledger's line of each that cost something, or had reserved it."""
    usages = [s.usage for s in ending]
    lengths = [None if s.output is None else len(s.output) for s in ending]
    starts, start = [], 1
    for length in lengths:
        starts.append(start)
        start += length or 0
    errors = [error_json(s.failure) for s in ending]
    request_ids = [text(s.request_id) for s in ending]
    return rows(
        tx.db,
        END,
        {
            "worker": worker,
            "now": now,
            "seq": tx.next_seqs(len(ending)) - 1,
            "ids": array([s.task_id for s in ending]),
            "states": array([s.state for s in ending]),
            "outcomes": array([s.outcome for s in ending]),
            "latencies": array([s.latency for s in ending]),
            "input_tokens": sparse([u and u.input_tokens for u in usages]),
            "output_tokens": sparse([u and u.output_tokens for u in usages]),
            "cached_tokens": sparse([u and u.cached_tokens for u in usages]),
            "input_prices": sparse([s.input_price for s in ending]),
            "output_prices": sparse([s.output_price for s in ending]),
            "costs": sparse([s.cost for s in ending]),
            "errors": errors if any(errors) else None,
            "request_ids": request_ids if any(request_ids) else None,
            "starts": array(starts),
            "lengths": array(lengths),
            "outputs": b"".join([s.output for s in ending if s.output]),
        },
    )
