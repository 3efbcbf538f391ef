"""The database connection that a caller brings: recognised by its library, used only to add rows to their own
transaction. Nothing here begins, commits or rolls back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laneway.errors import ConfigError, UsageError

ACCEPTED = (
    "pass a sqlite3 or apsw connection, Django's connection, or an SQLAlchemy connection or session, to a SQLite file"
)
SQLITE3 = "sqlite3"
APSW = "apsw"


@dataclass(frozen=True, slots=True)
class Place:
    """A database file, and the SQLite library that opens it in the caller's process. Two libraries in one process
    would void each other's locks on it, so others there must use the same."""

    path: str  # absolute, links resolved
    library: str  # "sqlite3" or "apsw"


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller's connection, whatever wraps it."""

    place: Place
    driver: Any  # what was recognised: for stores that may own it
    execute: Callable[[str, Sequence[Any]], list[Sequence[Any]]]
    is_open: Callable[[], bool]  # whether a transaction is still open; True where that cannot be told


def recognise(connection: Any) -> Caller:
    """Raises UsageError for what is no connection to a SQLite file, ConfigError for a PostgreSQL one."""
    if hasattr(connection, "run_sync"):
        raise UsageError(
            "connection= is an async one, which lw.sync cannot use",
            hint="await lw.submit(…, connection=…) on its event loop",
        )
    if _kind(connection).startswith(("psycopg", "asyncpg", "pg8000")):
        raise _postgres()
    if hasattr(connection, "ensure_connection") and hasattr(connection, "vendor"):
        return _django(connection)
    if hasattr(connection, "db") and hasattr(connection.db, "ensure_connection"):
        return _django(connection.db)  # Django's cursor
    if hasattr(connection, "get_bind") and callable(getattr(connection, "connection", None)):
        connection = connection.connection()  # SQLAlchemy's session
    if hasattr(connection, "exec_driver_sql"):
        return _sqlalchemy(connection)
    return _plain(connection)


def _plain(connection: Any) -> Caller:
    import apsw

    library = SQLITE3 if _is_sqlite3(connection) else APSW if isinstance(connection, apsw.Connection) else None
    if library is None and (inner := getattr(connection, "connection", None)) is not None and _kind(inner) in _KINDS:
        return _plain(inner)  # a cursor
    if library is None:
        raise UsageError(f"connection={type(connection).__name__} cannot carry a task", hint=ACCEPTED)

    def execute(sql: str, values: Sequence[Any]) -> list[Sequence[Any]]:
        cursor = connection.cursor()
        if library == SQLITE3:
            cursor.row_factory = None  # the caller's own would change what comes back
        else:
            cursor.row_trace = cursor.exec_trace = None
        return list(cursor.execute(sql, values))

    def is_open() -> bool:
        try:
            return bool(connection.in_transaction)
        except Exception as error:  # noqa: BLE001 - the library is the caller's
            return "closed" not in f"{type(error).__name__} {error}".lower()

    return Caller(_place(execute, library), connection, execute, is_open)


_KINDS = ("sqlite3", "apsw")


def _django(connection: Any) -> Caller:
    if connection.vendor == "postgresql":
        raise _postgres()
    if connection.vendor != "sqlite":
        raise UsageError(f"connection= is to a {connection.vendor} database", hint=ACCEPTED)
    connection.ensure_connection()
    return _plain(connection.connection)


def _sqlalchemy(connection: Any) -> Caller:
    """Through its own ``execute``, so that it knows of the transaction which the statement begins."""
    if connection.dialect.name == "postgresql":
        raise _postgres()
    if connection.dialect.name != "sqlite":
        raise UsageError(f"connection= is to a {connection.dialect.name} database", hint=ACCEPTED)

    def execute(sql: str, values: Sequence[Any]) -> list[Sequence[Any]]:
        result = connection.exec_driver_sql(sql, tuple(values))
        return [tuple(row) for row in result] if result.returns_rows else []

    def is_open() -> bool:
        return bool(connection.in_transaction()) and not connection.closed

    return Caller(_place(execute, SQLITE3), connection, execute, is_open)


def _place(execute: Callable[[str, Sequence[Any]], list[Sequence[Any]]], library: str) -> Place:
    name = next((row[2] for row in execute("PRAGMA database_list", ()) if row[1] == "main"), "")
    if not name:
        raise UsageError(
            "connection= is to a database in memory, where no worker can see the task",
            hint="use a database file; for Django's tests name one in DATABASES['default']['TEST']['NAME']",
        )
    return Place(str(Path(name).resolve()), library)


def _is_sqlite3(connection: object) -> bool:
    """Without importing the module where nobody else has."""
    module = sys.modules.get("sqlite3")
    return module is not None and isinstance(connection, module.Connection)


def _kind(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


def _postgres() -> ConfigError:
    return ConfigError(
        "submitting inside a PostgreSQL transaction lands with the PostgreSQL store",
        hint="until then submit after the commit, with a key: the same key again is the same task",
    )
