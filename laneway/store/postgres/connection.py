"""Connecting, migrations, and PostgreSQL's errors in our words."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any, NamedTuple

import orjson
import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_dumps, set_json_loads

from laneway.errors import StoreError
from laneway.store.urls import shown

Db = psycopg.Connection[tuple[Any, ...]]
Bindings = Sequence[Any] | Mapping[str, Any]
CONNECT_TIMEOUT_S = 10
MIGRATING = 7_263_926_001  # of the advisory lock that is held while the schema is changed
BUDGETS = 7_263_926_002  # … while budgets of the day are looked at and claimed from
VERSION = "SELECT coalesce(max(version), 0), coalesce(max(usable_from), 0) FROM laneway.migration"
TWINS = 7_263_926_003  # … while earlier tasks of the same key are looked for and new ones written

BY_INDEX = "; ".join(
    f"SET LOCAL enable_{way} = off" for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort")
)

# Somebody else was there at the same moment: the same transaction again, and it goes.
RACES = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation, errors.LockNotAvailable)
# Not for good: the server restarts or is being replaced, is full, or cannot be reached.
OUTAGES = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
    errors.ReadOnlySqlTransaction,
    errors.TooManyConnections,
    errors.DiskFull,
    errors.OutOfMemory,
    errors.InsufficientResources,
)


def is_outage(error: psycopg.Error) -> bool:
    """Whether the same may go well later, on a new connection."""
    if isinstance(error, OUTAGES):
        return True
    return error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def connect(url: str) -> Db:
    """A connection that commits each statement by itself until told otherwise. ``prepare=off`` in the URL is ours, the
    rest libpq's: no prepared statements, for poolers that cannot follow them. Raises psycopg.Error."""
    url, unprepared = re.subn(r"(?<=[?&])prepare=off(&|$)", "", url)
    url = url.rstrip("?&")
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "laneway",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "target_session_attrs": "read-write",  # of several hosts, the one that may be written to
    }
    given = psycopg.conninfo.conninfo_to_dict(url)
    if unprepared:
        options["prepare_threshold"] = None
    db = psycopg.connect(url, autocommit=True, **{k: v for k, v in options.items() if k not in given})
    set_json_loads(orjson.loads, db)
    set_json_dumps(orjson.dumps, db)
    return db


def connect_first(url: str) -> Db:
    """A connection to a store that is made or brought up to date by this. Raises StoreError."""
    try:
        db = connect(url)
        try:
            migrate(db)
        except BaseException:
            db.close()
            raise
    except psycopg.Error as error:
        raise store_error(url, error) from error
    return db


def upgrade(url: str, *, dry: bool = False) -> tuple[int, int]:
    """The version of the schema before and after this; 0: there was none. ``dry``: nothing is changed."""
    try:
        with connect(url) as db:
            before = schema_version(db, migrations())
            if not dry:
                migrate(db)
    except psycopg.Error as error:
        raise store_error(url, error) from error
    return before, max(before, migrations()[-1].version)


class Migration(NamedTuple):
    """A script, and the oldest schema version whose code can still use what it leaves."""

    version: int
    usable_from: int
    script: str


def migrations() -> list[Migration]:
    """In order. A script that older code cannot live with says so in a line ``-- usable_from: N``; see
    design/store.md."""
    folder = resources.files("laneway.store.postgres") / "migrations"
    found = []
    for entry in folder.iterdir():
        if match := re.match(r"(\d{4})_\w+\.sql$", entry.name):
            script = entry.read_text("utf-8")
            from_ = re.search(r"^-- usable_from: (\d+)$", script, re.MULTILINE)
            found.append(Migration(int(match[1]), int(from_[1]) if from_ else 1, script))
    return sorted(found)


def migrate(db: Db, known: Sequence[Migration] | None = None) -> None:
    """Bring the schema up to date in one transaction. A newer one is left as it is, and refused where code that knows
    no more than ``known`` (default: all there are) cannot use it."""
    scripts = known or migrations()
    newest = scripts[-1].version
    if schema_version(db, scripts) >= newest:
        return
    with db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")  # to see what another process has done meanwhile
        db.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
        db.execute("CREATE SCHEMA IF NOT EXISTS laneway")
        db.execute(
            "CREATE TABLE IF NOT EXISTS laneway.migration"
            " (version integer PRIMARY KEY, usable_from integer NOT NULL, at timestamptz NOT NULL DEFAULT now())"
        )
        version = schema_version(db, scripts)  # another process may have been faster
        for number, usable_from, script in scripts:
            if number > version:
                db.execute(script.encode())
                record = "INSERT INTO laneway.migration (version, usable_from) VALUES (%s, %s)"
                db.execute(record, (number, usable_from))


def schema_version(db: Db, known: Sequence[Migration]) -> int:
    """Of the schema; 0: there is none. Raises StoreError where code that knows only these cannot use it."""
    if scalar(db, "SELECT to_regclass('laneway.migration')") is None:
        return 0
    version, usable_from = rows(db, VERSION)[0]
    newest = known[-1].version
    if usable_from > newest:
        raise StoreError(
            f"the store was written by a newer Laneway (schema {version}, usable from {usable_from} on;"
            f" this one knows {newest})",
            hint="upgrade Laneway here, or name another store with --store",
        )
    return int(version)


def store_error(url: str, error: psycopg.Error) -> StoreError:
    """What to say, and do, about it."""
    place, words = shown(url), str(error).strip().splitlines()
    message = words[0] if words else type(error).__name__
    if isinstance(error, errors.InsufficientPrivilege):
        hint = (
            "give this role the right to create a schema in that database, or let its owner run `laneway store migrate`"
        )
    elif "password" in message or "no pg_hba.conf entry" in message or 'role "' in message:
        hint = "check user and password: in the URL, in PGPASSWORD or in ~/.pgpass"
    elif isinstance(error, errors.DuplicatePreparedStatement | errors.InvalidSqlStatementName):
        hint = "a pooler hands one connection to several clients: add ?prepare=off to the URL (docs/scale.md)"
    elif "does not exist" in message:
        hint = "create it (`createdb NAME`), or correct --store postgresql://user@host/NAME"
    elif isinstance(error, errors.DiskFull):
        hint = "make room on the server's disk, then run the same command again: it goes on where it stopped"
    else:
        hint = "check that the server runs and can be reached from here; the same command then goes on where it stopped"
    return StoreError(f"the store {place} cannot be used: {message}", hint=hint)


def rows(db: Db, sql: str, bindings: Bindings = ()) -> list[tuple[Any, ...]]:
    """All rows. ``sql`` is put together from constants of this package only; values are always bound."""
    return run(db, sql, bindings).fetchall()


def first(db: Db, sql: str, bindings: Bindings = ()) -> tuple[Any, ...] | None:
    return run(db, sql, bindings).fetchone()


def scalar(db: Db, sql: str, bindings: Bindings = ()) -> Any:
    """The first column of the first row, or None."""
    row = run(db, sql, bindings).fetchone()
    return None if row is None else row[0]


def run(db: Db, sql: str, bindings: Bindings = ()) -> psycopg.Cursor[tuple[Any, ...]]:
    """Binary results: numbers and bytes come as they are."""
    return db.execute(sql, bindings or None, binary=True)


@contextmanager
def by_index(db: Db) -> Iterator[None]:
    """Queries in here walk along indexes and stop at their limit. The planner does not know how much lies behind a
    cursor, and would read and sort all of it for each page."""
    within = db.info.transaction_status is not TransactionStatus.IDLE
    db.execute(f"{'' if within else 'BEGIN; '}{BY_INDEX}")
    try:
        yield
    finally:
        if not within:
            db.execute("COMMIT")


def server_time(db: Db) -> float:
    """Seconds since 1970 by the server's clock: what all processes go by. The quickest of three answers is off by less
    than half its round trip."""
    best = (float("inf"), 0.0)
    for _ in range(3):
        asked = time.monotonic()
        at = float(scalar(db, "SELECT extract(epoch FROM clock_timestamp())::float8"))
        took = time.monotonic() - asked
        best = min(best, (took, at + took / 2 - (asked + took)))
    return best[1] + time.monotonic()


def json(thing: object) -> str | None:
    """For a ``jsonb`` column. PostgreSQL keeps no NUL in text: models and providers have been seen to send some."""
    return None if thing is None else orjson.dumps(thing).decode().replace("\\u0000", "\\ufffd")


def text(words: str | None) -> str | None:
    """For a ``text`` column, likewise."""
    return None if words is None else words.replace("\x00", "\ufffd")


def array(values: Iterable[float | str | None]) -> str:
    """An array of numbers, booleans or plain words as PostgreSQL reads it, for a ``%s::type[]``: several times faster
    than psycopg's own way, and floats may stand beside integers."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def sparse(values: Sequence[float | None]) -> str | None:
    """``array()``; where all are NULL, none at all: ``unnest`` fills up the shorter of its arrays."""
    return None if values.count(None) == len(values) else array(values)
