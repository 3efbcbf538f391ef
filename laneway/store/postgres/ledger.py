"""The ledger's lines of calls that have ended: what came of them, and what they cost, in the books of runs and days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from laneway.store.postgres.connection import array, json, rows, run
from laneway.store.postgres.transaction import Transaction
from laneway.task import Failure, Settlement

# Of calls that were given up as lost before anything was heard of them. `call + 0`: a plan made while the ledger was
# empty would else look all its lines through for their `call`.
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


class Line(NamedTuple):
    """Of the ledger."""

    run_id: int
    reserved_cost: float | None
    started_at: float
    account: str
    cell_id: int | None


def late_lines(tx: Transaction, late: Sequence[Settlement]) -> dict[tuple[int, int], Line]:
    """Of calls whose tasks are somebody else's by now."""
    if not late:
        return {}
    keys = (array(s.task_id for s in late), array(s.fence for s in late))
    return {(id_, fence): Line(*row) for id_, fence, *row in rows(tx.db, LATE, keys)}


def close(
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
        closed.append((s.task_id, s.fence, s.outcome.value, s.latency, *tokens, *prices, error_json(s.failure)))
        reserved, spent = line.reserved_cost or 0.0, s.cost or 0.0
        if late:  # the reaper booked what was reserved; the real cost is known now
            reserved, spent = 0.0, spent - reserved
        if reserved or spent:
            priced.append((s.task_id, line, reserved, spent))
    if closed:
        *columns, errors = zip(*closed, strict=True)
        run(tx.db, CLOSE, (*map(array, columns), list(errors)))
    if priced:
        book(tx, priced)


def book(tx: Transaction, priced: Sequence[tuple[int, Line, float, float]]) -> None:
    """What calls cost, in the books of their runs and days."""
    specs: dict[int, int] = dict(rows(tx.db, SPECS, (array(task_id for task_id, *_ in priced),)))
    for task_id, line, reserved, spent in priced:
        tx.spend(line.run_id, reserved=-reserved, spent=spent)
        tx.books.add(line.started_at, line.account, line.cell_id, specs[task_id], reserved=-reserved, spent=spent)


def error_json(failure: Failure | None) -> str | None:
    return json(failure.as_json()) if failure else None
