"""Moving a SQLite store into an empty PostgreSQL one: all or nothing, streamed, ids and order kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from laneway.errors import StoreError, UsageError
from laneway.store.postgres import workers
from laneway.store.postgres.connection import Db, connect_first, rows, scalar
from laneway.store.postgres.submitting import LONGEST_KEY, MOST_KEY_BYTES, wrong_with
from laneway.store.postgres.transaction import SEQ_BITS, STATES, Transaction, Transactions
from laneway.store.sqlite import connection as sqlite
from laneway.store.sqlite.locks import FileLock, LifeSigns
from laneway.store.sqlite.moved import GUARDS, STATE
from laneway.store.urls import shown
from laneway.task import State

# Every table with content, and what it is filled from where SQLite keeps that otherwise. Workers and their shares stay
# behind: none lives. Counters and sums go into one shard.
TABLES: Mapping[str, str] = {
    "document": "document",
    "run": "run",
    "run_cost": "(SELECT id AS run_id, 0 AS shard, spent, reserved FROM run)",
    "cell": "cell",
    "cell_count": f"(SELECT id AS cell_id, 0 AS shard, {', '.join(STATES)}, 0 AS changed FROM cell)",
    "task": "task",
    "payload": "payload",
    "result": "result",
    "attempt": "attempt",
    "spending": "(SELECT *, 0 AS shard FROM spending)",
    "calls_made": "calls_made",
    "state": "state",
    "pause": "pause",
    "detour": "detour",
    "feedback": "feedback",
    "question": "question",
    "verdict": "verdict",
    "judged": "judged",
    "child": "child",
    "wait_group": "wait_group",
    "step": "step",
    "event": "event",
    "upload": "upload",
    "upload_piece": "upload_piece",
    "tally": "tally",
    "tally_time": "tally_time",
    "failure": "failure",
    "token": "token",
    "audit": "audit",
    "webhook": "webhook",
}
COLUMNS = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
NEXT_IDS = (  # what the next of each is called
    ("laneway.task_id", "task"),
    ("laneway.run_id_seq", "run"),
    ("laneway.cell_id_seq", "cell"),
    ("laneway.document_id_seq", "document"),
    ("laneway.failure_id_seq", "failure"),
    ("laneway.token_id_seq", "token"),
    ("laneway.audit_id_seq", "audit"),
)
CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "boolean": bool,
    "text": lambda words: words.replace("\x00", "\ufffd"),
    "jsonb": lambda words: orjson.loads(words.replace("\\u0000", "\\ufffd")),
}


class Moved(NamedTuple):
    tasks: int
    runs: int
    results: int
    returned: int  # tasks whose worker had died: ready again
    poisoned: int  # given up, since workers kept dying of them


def move(path: Path, url: str) -> Moved:
    """Copy the store at ``path`` into the one at ``url`` and mark it as moved. Nobody writes to it meanwhile. Raises
    UsageError while a worker lives or when the target has runs; whatever fails leaves the target empty."""
    with sqlite.sqlite_errors(path):
        source = sqlite.connect_first(path)
        turn = FileLock(path.with_name(path.name + "-turn"))
        try:
            with turn.held(), source:
                _no_worker_lives(source, path)
                done = _fill(source, url)
                for guard in GUARDS:
                    source.execute(guard)
                sql = "INSERT INTO state (name, saved_at, content) VALUES (?, ?, ?)"
                source.execute(sql, (STATE, time.time(), orjson.dumps(shown(url)).decode()))
        finally:
            turn.close()
            source.close()
    return done


def _no_worker_lives(source: apsw.Connection, path: Path) -> None:
    signs = LifeSigns(path.with_name(path.name + "-workers"))
    found = list(source.execute("SELECT id, host, pid, lease_until FROM worker"))
    living = [row for row in found if row[3] > time.time() and not signs.certainly_dead(row[0])]
    if living:
        who = ", ".join(f"process {pid} on {host}" for _, host, pid, _ in living)
        raise UsageError(
            f"the store {path} is being worked on by {who}",
            hint="let them finish or stop them (Ctrl-C, SIGTERM), then move it; what has not ended goes on there",
        )


def _fill(source: apsw.Connection, url: str) -> Moved:
    db = connect_first(url)
    target = Transactions(url, [db], 0.0, lambda _: None)
    try:
        (done,) = target.run_all([lambda tx: _copy(source, tx, url)])
        for table in TABLES:
            db.execute(f"ANALYZE laneway.{table}")
    finally:
        target.close()
    assert isinstance(done, Moved)
    return done


def _copy(source: apsw.Connection, tx: Transaction, url: str) -> Moved:
    db = tx.db
    db.execute("LOCK TABLE laneway.run, laneway.task IN ACCESS EXCLUSIVE MODE")
    if scalar(db, "SELECT EXISTS (SELECT 1 FROM laneway.run) OR EXISTS (SELECT 1 FROM laneway.task)"):
        raise UsageError(
            f"the store {shown(url)} is not empty",
            hint="name a new database (`createdb NAME`), or empty this one: DROP SCHEMA laneway CASCADE",
        )
    for table in ("document", "state", "pause", "calls_made", "spending"):  # of who was there without giving work
        db.execute(f"DELETE FROM laneway.{table}")
    _check_order(source, tx)
    copied = {table: _copy_table(source, db, table, view) for table, view in TABLES.items()}
    for sequence, table in NEXT_IDS:
        db.execute(f"SELECT setval('{sequence}', greatest((SELECT max(id) FROM laneway.{table}), 1))")
    returned = poisoned = 0
    for (worker,) in rows(db, "SELECT DISTINCT worker_id FROM laneway.task WHERE state = 'running'"):
        back, bad = workers.bury(tx, worker, time.time())
        returned, poisoned = returned + back, poisoned + bad
    for (cell,) in rows(db, "SELECT cell_id FROM laneway.cell_count WHERE ready > 0"):
        tx.count(cell, State.READY, 0)  # new to whoever has looked at the empty store
    return Moved(copied["task"], copied["run"], copied["result"], returned, poisoned)


def _check_order(source: apsw.Connection, tx: Transaction) -> None:
    """Results keep their numbers, and with them every cursor: those of the target begin far above."""
    last = int(sqlite.scalar(source, "SELECT value FROM sequence WHERE name = 'result'"))
    if last >= tx.number << SEQ_BITS:
        raise StoreError(
            f"{last:,} results are more than that server's numbers for new ones leave room for",
            hint="use a server that has had more transactions",
        )


def _copy_table(source: apsw.Connection, db: Db, table: str, view: str) -> int:
    """How many rows."""
    columns: list[tuple[str, str]] = [(name, kind) for name, kind in rows(db, COLUMNS, (f"laneway.{table}",))]
    if table == "document":
        found = _documents(source)
    else:
        names = ", ".join(f'"{name}"' for name, _ in columns)
        found = source.execute(f"SELECT {names} FROM {view}")
    n = 0
    with db.cursor() as cursor, cursor.copy(f"COPY laneway.{table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types([kind for _, kind in columns])
        for row in _converted(found, columns):
            copy.write_row(row)
            n += 1
    return n


def _documents(source: apsw.Connection) -> Iterator[tuple[Any, ...]]:
    """(id, digest, content, type, wire): a spec's says of which wire it is, a route's does not."""
    for id_, content in source.execute("SELECT id, content FROM document"):
        said = orjson.loads(content)
        spec = said if "wire" in said else {}
        yield id_, sha256(content).digest(), content, spec.get("type"), spec.get("wire")


def _converted(found: Iterable[Sequence[Any]], columns: Sequence[tuple[str, str]]) -> Iterator[list[Any]]:
    conversions = [(i, CONVERSIONS[kind]) for i, (_, kind) in enumerate(columns) if kind in CONVERSIONS]
    key = next((i for i, (name, _) in enumerate(columns) if name == "key"), None)
    for values in found:
        row = list(values)
        if key is not None and row[key] is not None:
            _check_key(row[key])
        for i, convert in conversions:
            if row[i] is not None:
                row[i] = convert(row[i])
        yield row


def _check_key(key: str) -> None:
    if wrong := wrong_with(key):
        raise UsageError(
            f"the key {key[:40]!r}… has {wrong} and cannot be kept in PostgreSQL",
            hint=f"keys there have at most {LONGEST_KEY:,} characters and {MOST_KEY_BYTES:,} bytes, none of them NUL;"
            " this store stays as it is",
        )
