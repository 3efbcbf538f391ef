"""Hot statements find their rows by an index: on a large store, and by plans that were made while it was empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from laneway.store.postgres import (
    ending,
    failing,
    heads,
    ledger,
    queue,
    reading,
    settling,
    sharing,
    submitting,
    workers,
)
from laneway.store.postgres.connection import BY_INDEX, Db, connect
from laneway.store.postgres.transaction import BEGIN
from tests.postgres import Databases
from tests.store.helpers import NOW

ROWS = 50_000
FILL = f"""
    INSERT INTO laneway.run (identity, generation, sealed, created_at, first_seq, cursor, "offset", info)
        VALUES ('out', 1, true, 0, 0, 0, 0, '{{}}');
    INSERT INTO laneway.cell (run_id, model, lane, urgency) SELECT 1, 'm', 'l' || i, 2 FROM generate_series(1, 4) i;
    INSERT INTO laneway.document (digest, content, type) VALUES ('a', '{{}}', 'chat');
    INSERT INTO laneway.task (id, run_id, key, generation, hash, cell_id, state, due_at, wake_at, worker_id, fence,
                              result_seq)
        SELECT i, 1, i::text, 1, 'h', 1 + i % 4, state, {NOW} + i, CASE state WHEN 'waiting' THEN {NOW} END,
               CASE state WHEN 'running' THEN 'w' END, 1, CASE state WHEN 'succeeded' THEN i END
        FROM generate_series(1, {ROWS}) i CROSS JOIN LATERAL (VALUES (CASE WHEN i % 2 = 0 THEN 'ready'
            WHEN i % 5 = 0 THEN 'running' WHEN i % 7 = 0 THEN 'waiting' ELSE 'succeeded' END)) s (state);
    INSERT INTO laneway.payload (task_id, submitted_at, spec_id, route_id, body)
        SELECT i, 0, 1, 1, '{{}}' FROM generate_series(1, {ROWS}) i;
    INSERT INTO laneway.attempt (task_id, fence, call, run_id, worker_id, model, account, started_at, reserved_input,
                                 reserved_output, cell_id)
        SELECT i, 1, 0, 1, 'w', 'm', 'a', 0, 0, 0, 1 FROM generate_series(1, {ROWS}) i;
    INSERT INTO laneway.result (seq, task_id, settled_at) SELECT result_seq, id, 0 FROM laneway.task
        WHERE state = 'succeeded';
    INSERT INTO laneway.cell_count (cell_id, shard, ready, changed)
        SELECT c, s, 1000, c * 16 + s FROM generate_series(1, 4) c, generate_series(0, 15) s;
    INSERT INTO laneway.cell (run_id, model, lane, urgency) SELECT 2, 'm', 'l' || i, 2 FROM generate_series(1, 5000) i;
    INSERT INTO laneway.cell_count (cell_id, shard, succeeded) SELECT id, 0, 9 FROM laneway.cell WHERE run_id = 2;
    ANALYZE;
"""
IDS = "{7,8}"
PICKS = {
    "cells": "{1,2}",
    "n": "{10,20}",
    "models": ["m", "m"],
    "accounts": ["a", "a"],
    "input_prices": "{1,1}",
    "output_prices": "{1,1}",
    "runs": "{1,1}",
    "worker": "w",
    "now": NOW,
    "counted_from": NOW,
    "ids": [7, 8],
}
ENDED = {
    **dict.fromkeys(("ids", "latencies", "starts", "lengths"), IDS),
    **dict.fromkeys(("states", "outcomes"), "{succeeded,failed}"),
    **dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "input_prices", "output_prices")),
    **dict.fromkeys(("costs", "errors", "request_ids")),
    "worker": "w",
    "now": NOW,
    "seq": 1,
    "outputs": b"",
}
FAILED = {"ids": IDS, "classes": ["request", "output"], "codes": ["bad", "schema"]}
CLOSED = (IDS, IDS, *[None] * 9)
# In transactions that write.
WRITING = [
    pytest.param(queue.TAKE, PICKS, ("task_ready", "task_pkey", "payload_pkey"), id="claim"),
    pytest.param(queue.TAKE_THESE, PICKS, ("task_pkey", "payload_pkey"), id="claim within a budget"),
    pytest.param(queue.DUE, (NOW,), ("task_waiting",), id="wake"),
    pytest.param(ending.END, ENDED, ("task_pkey", "attempt_pkey", "task_twin"), id="settle what ends"),
    pytest.param(settling.RUNNING, (IDS, "w"), ("task_pkey", "attempt_pkey"), id="settle what goes on"),
    pytest.param(failing.ADD, FAILED, ("task_pkey", "payload_pkey"), id="kinds of failures"),
    pytest.param(failing.SAY, FAILED, ("task_pkey", "payload_pkey"), id="say of which kind"),
    pytest.param(ledger.CLOSE, CLOSED, ("attempt_pkey",), id="close calls"),
    pytest.param(ledger.LATE, (IDS, IDS), ("attempt_pkey",), id="late answers"),
    pytest.param(submitting.KNOWN_AND_KEPT, (["7"], 1), ("task_identity|task_key",), id="submit"),
    pytest.param(workers.HELD, ("w",), ("task_running",), id="take over"),
]
READING = [
    pytest.param(sharing.ROUSE, ([7],), ("task_twin",), id="rouse"),
    pytest.param(heads.READY, {"run": None}, ("task_ready",), id="first look"),
    pytest.param(heads.CHANGED, {"seen": 70, "run": None}, ("cell_count_changed", "task_ready"), id="look"),
    pytest.param(heads.SIZES, ([1], [16]), ("task_ready",), id="sizes"),
    pytest.param(queue.NEXT_WAKE, (), ("task_waiting",), id="next to wake"),
    pytest.param(f"{reading._TASK} WHERE t.key = %s ORDER BY t.id DESC LIMIT 1", ("7",), ("task_key",), id="by key"),
]


@pytest.fixture(scope="module")
def large(postgres_databases: Databases, migrated_database: str) -> Iterator[Db]:
    url = postgres_databases.create(template=migrated_database)
    with connect(url) as db:
        db.execute(FILL.encode())
        yield db
    postgres_databases.drop(url)


@pytest.fixture(scope="module")
def empty(postgres_databases: Databases, migrated_database: str) -> Iterator[Db]:
    url = postgres_databases.create(template=migrated_database)
    with connect(url) as db:
        yield db
    postgres_databases.drop(url)


@pytest.mark.parametrize(("sql", "bindings", "indexes"), WRITING)
@pytest.mark.parametrize("store", ["large", "empty"])
def test_what_is_written_is_found_by_index(
    store: str, sql: str, bindings: Any, indexes: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    db: Db = request.getfixturevalue(store)
    db.execute(BEGIN.format(name=1, begun=1))
    try:
        _uses(plan(db, sql, bindings), indexes)
    finally:
        db.execute("ROLLBACK")


@pytest.mark.parametrize(("sql", "bindings", "indexes"), READING)
def test_what_is_read_is_found_by_index(large: Db, sql: str, bindings: Any, indexes: tuple[str, ...]) -> None:
    _uses(plan(large, sql, bindings), indexes)


def test_the_results_cursor_reads_on_from_where_it_was(large: Db) -> None:
    sql = f"{reading.RESULTS} ORDER BY r.seq LIMIT %(limit)s"
    with large.transaction():
        large.execute(BY_INDEX)
        steps = plan(large, sql, {"cursor": 5, "run": 1, "limit": 10})
    _uses(steps, ("result_pkey",))
    assert not any("Sort" in step for step in steps), steps


def plan(db: Db, sql: str, bindings: Any) -> list[str]:
    return [step for (step,) in db.execute(f"EXPLAIN {sql}", bindings or None)]


def _uses(steps: list[str], indexes: tuple[str, ...]) -> None:
    used = " ".join(steps)
    for either in indexes:
        assert any(index in used for index in either.split("|")), steps
    assert "task_running" in indexes or "task_running" not in used, steps
    for table in ("task", "payload", "attempt", "result"):
        assert f"Seq Scan on {table}" not in used, steps
