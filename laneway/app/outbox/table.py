"""The outbox: tasks as rows of a table in the caller's own database, written in their transaction."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from laneway.app.outbox.callers import SQLITE3, Caller, Place
from laneway.errors import ConflictError
from laneway.task import NewTask, Route, Spec

VERSION = 1
BUSY_MS = 50  # how long the relay waits for the application's own transactions

CREATE = """
    CREATE TABLE IF NOT EXISTS laneway_outbox (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, hash BLOB NOT NULL, task TEXT NOT NULL, fault TEXT
    )
"""
INSERT = "INSERT INTO laneway_outbox (key, hash, task) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING"
SAME = "SELECT hash FROM laneway_outbox WHERE key = ?"
READ = "SELECT id, key, hash, task FROM laneway_outbox WHERE fault IS NULL ORDER BY id LIMIT ?"
DELETE = "DELETE FROM laneway_outbox WHERE id = ? AND key = ? AND hash = ?"
MARK = "UPDATE laneway_outbox SET fault = ? WHERE id = ? AND key = ? AND hash = ?"
WAITING = "SELECT count(*) FROM laneway_outbox WHERE fault IS NULL"
FAULTS = "SELECT key, fault FROM laneway_outbox WHERE fault IS NOT NULL ORDER BY id LIMIT 10000"
STANDS = "SELECT fault FROM laneway_outbox WHERE key = ?"


def write(caller: Caller, tasks: Iterable[NewTask]) -> None:
    """Add the tasks to the caller's transaction. Raises ConflictError when a key waits there with other arguments."""
    caller.execute(CREATE, ())
    for task in tasks:
        assert task.key is not None, "a task in an outbox has a key"
        caller.execute(INSERT, (task.key, task.hash, to_text(task)))
        if bytes(caller.execute(SAME, (task.key,))[0][0]) != task.hash:
            raise conflict(task.key)


def conflict(key: str | None) -> ConflictError:
    return ConflictError(
        f"the key {key!r} was used for other arguments before", hint="use another key, or leave it out"
    )


def to_text(task: NewTask) -> str:
    """A task as JSON text."""
    fields: dict[str, Any] = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    fields.update(spec=task.spec.as_json(), route=task.route.as_json(), body=task.body.decode())
    if task.record is not None:
        fields["record"] = task.record.decode()
    return orjson.dumps({"version": VERSION, **fields}).decode()


def from_text(text: str) -> NewTask:
    """Raises ValueError for what this version cannot read."""
    fields: dict[str, Any] = orjson.loads(text)
    if fields.pop("version") != VERSION:
        raise ValueError("it was written by another version of Laneway")
    known = {field.name for field in dataclasses.fields(NewTask)}
    if unknown := sorted(fields.keys() - known):
        raise ValueError(f"it has fields unknown here: {', '.join(unknown)}")
    fields.update(spec=Spec.from_json(fields["spec"]), route=Route.from_json(fields["route"]))
    fields["body"] = fields["body"].encode()
    fields["tags"] = tuple(fields["tags"])
    if fields["record"] is not None:
        fields["record"] = fields["record"].encode()
    return NewTask(**fields)


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    key: str
    hash: bytes
    task: str


class Away(Exception):
    """The application's database cannot be used at the moment. ``str(error)`` says why."""


class OutboxFile:
    """The relay's side of one outbox: a connection of its own, blocking, used by one thread at a time. Every verb
    raises Away, having had no effect."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._db: Any = None
        self._file: tuple[int, int] | None = None
        self._version: object = None

    def changed(self) -> bool:
        """Whether somebody has committed since the last call. True the first time."""
        version = self._run("PRAGMA data_version", [()])[0][0]
        before, self._version = self._version, version
        return bool(version != before)

    def forget_version(self) -> None:
        """Let ``changed`` be true once more."""
        self._version = None

    def read(self, limit: int) -> list[Row]:
        if not self._run("SELECT 1 FROM sqlite_master WHERE name = 'laneway_outbox'", [()]):
            return []
        return [Row(id_, key, bytes(hash_), task) for id_, key, hash_, task in self._run(READ, [(limit,)])]

    def delete(self, rows: Sequence[Row]) -> None:
        self._run(DELETE, [(row.id, row.key, row.hash) for row in rows])

    def mark(self, faults: Mapping[Row, str]) -> None:
        """Keep rows that no store will take, with the reason."""
        self._run(MARK, [(fault, row.id, row.key, row.hash) for row, fault in faults.items()])

    def count(self) -> tuple[int, list[tuple[str, str]]]:
        """How many rows wait to be taken, and (key, fault) of those that stay."""
        if not self._run("SELECT 1 FROM sqlite_master WHERE name = 'laneway_outbox'", [()]):
            return 0, []
        waiting = int(self._run(WAITING, [()])[0][0])
        return waiting, [(key, fault) for key, fault in self._run(FAULTS, [()])]

    def stands(self, key: str) -> tuple[bool, str | None]:
        """Whether a committed row with this key is there, and its fault."""
        if not self._run("SELECT 1 FROM sqlite_master WHERE name = 'laneway_outbox'", [()]):
            return False, None
        rows = self._run(STANDS, [(key,)])
        return (True, rows[0][0]) if rows else (False, None)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = self._version = None

    def _run(self, sql: str, bindings: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """One statement, for each of the bindings, in one transaction."""
        try:
            db = self._open()
            if len(bindings) == 1:
                return list(db.cursor().execute(sql, bindings[0]))
            db.cursor().execute("BEGIN IMMEDIATE")
            try:
                db.cursor().executemany(sql, bindings)
                db.cursor().execute("COMMIT")
            except BaseException:
                db.cursor().execute("ROLLBACK")
                raise
            return []
        except Exception as error:
            if not _is_database_error(error, self.place.library):
                raise
            raise Away(str(error) or type(error).__name__) from error

    def _open(self) -> Any:
        try:
            found = os.stat(self.place.path)  # noqa: PTH116 - twenty times a second
        except OSError as error:
            self.close()
            raise Away(error.strerror or str(error)) from error
        if self._db is not None and self._file != (found.st_dev, found.st_ino):
            self.close()  # the file was replaced
        if self._db is None:
            self._db = _connect(self.place)
            self._file = (found.st_dev, found.st_ino)
        return self._db


def _connect(place: Place) -> Any:
    """Never makes the file."""
    uri = f"file:{quote(str(Path(place.path)))}?mode=rw"
    if place.library == SQLITE3:
        import sqlite3

        return sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    import apsw

    db = apsw.Connection(place.path, flags=apsw.SQLITE_OPEN_READWRITE)
    db.set_busy_timeout(BUSY_MS)
    return db


def _is_database_error(error: Exception, library: str) -> bool:
    if library == SQLITE3:
        import sqlite3

        return isinstance(error, sqlite3.Error)
    import apsw

    return isinstance(error, apsw.Error)
