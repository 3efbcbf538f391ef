"""Opening the file: pragmas, migrations, permissions, and SQLite's errors in our words."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import apsw

from laneway.errors import StoreError
from laneway.files import open_private
from laneway.store.sqlite import moved
from laneway.store.sqlite.locks import FileLock

BUSY_TIMEOUT_MS = 10_000

log = logging.getLogger(__name__)


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into StoreError with the next step."""
    try:
        yield
    except apsw.BusyError as e:
        raise StoreError(
            f"the store {path} is locked by another program",
            hint="close whatever holds it open for writing (a database browser, a stopped process), then run again",
        ) from e
    except apsw.FullError as e:
        raise StoreError(
            f"no space left for the store {path}",
            hint="make room on that disk, then run the same command again: it goes on where it stopped",
        ) from e
    except (apsw.CorruptError, apsw.NotADBError) as e:
        raise StoreError(
            f"the store {path} is damaged or not a Laneway store",
            hint="restore it from a backup, or move it away and run again with a new one (--store)",
        ) from e
    except apsw.ConstraintError as e:
        if moved.REFUSAL not in str(e):
            raise
        raise moved.moved(path) from e
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError) as e:
        raise StoreError(
            f"the store {path} cannot be opened for writing",
            hint="check the folder's permissions, or name another place with --store sqlite:///path",
        ) from e
    except (apsw.IOError, apsw.ProtocolError, apsw.NoLFSError) as e:
        raise StoreError(
            f"the disk under the store {path} failed: {e}",
            hint="check the disk; SQLite also needs a local file system, not a network share",
        ) from e
    except OSError as e:
        raise StoreError(
            f"the store {path} cannot be used: {e.strerror or e}",
            hint="check the folder and its permissions, or name another place with --store sqlite:///path",
        ) from e


def connect_first(path: Path) -> apsw.Connection:
    """A connection to a store that is made or brought up to date by this. Who comes at the same moment waits: SQLite
    itself turns away those who switch a new file to WAL together."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    turn = FileLock(path.with_name(path.name + "-turn"))
    try:
        with turn.held():
            db = connect(path)
            migrate(db, path)
    finally:
        turn.close()
    if to := scalar(db, "SELECT content ->> '$' FROM state WHERE name = ?", (moved.STATE,)):
        db.close()
        raise moved.moved(path, to)
    return db


def upgrade(path: Path, *, dry: bool = False) -> tuple[int, int]:
    """The version of the schema before and after this; 0: there was none. ``dry``: nothing is changed."""
    with sqlite_errors(path):
        before = 0
        if path.exists():
            looking = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            before = int(scalar(looking, "PRAGMA user_version"))
            if dry:
                check_version(looking, path)
            looking.close()
        if not dry:
            connect_first(path).close()
    return before, migrations()[-1][0]


def connect(path: Path) -> apsw.Connection:
    """A connection with the settings every connection has. New files are readable by their owner only."""
    if not path.exists():
        open_private(path, "ab").close()
    db = apsw.Connection(str(path))
    db.set_busy_timeout(BUSY_TIMEOUT_MS)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "full")
    db.pragma("temp_store", "memory")
    db.pragma("secure_delete", True)  # what is pruned is overwritten
    db.pragma("cache_size", -16_000)
    db.pragma("wal_autocheckpoint", 4_000)
    db.pragma("journal_size_limit", 64_000_000)
    return db


def warn_if_shared(path: Path) -> None:
    """The store holds prompts and answers; SQLite gives its side files the same mode."""
    if os.name == "posix" and path.stat().st_mode & 0o077:
        log.warning("the store %s is open to other users of this machine; `chmod 600` closes it", path)


def migrations() -> list[tuple[int, str]]:
    """The numbered scripts, in order: (version, SQL)."""
    folder = resources.files("laneway.store.sqlite") / "migrations"
    scripts = [
        (int(match[1]), entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if (match := re.match(r"(\d{4})_\w+\.sql$", entry.name))
    ]
    return sorted(scripts)


def migrate(db: apsw.Connection, path: Path) -> None:
    """Bring the schema up to date in one transaction: it is the new one or the old one, and the disk is waited for
    once. A store of a newer Laneway is refused."""
    scripts = migrations()
    version = check_version(db, path)
    db.transaction_mode = "IMMEDIATE"  # a worker of the version before may be writing
    if version == scripts[-1][0]:
        return
    with db:
        version = scalar(db, "PRAGMA user_version")  # another process may have been faster
        for number, script in scripts:
            if number > version:
                db.execute(script)
                db.pragma("user_version", number)


def check_version(db: apsw.Connection, path: Path) -> int:
    """Of the schema; 0: there is none yet. Raises StoreError where it is none of ours, or newer than this Laneway."""
    newest = migrations()[-1][0]
    version = int(scalar(db, "PRAGMA user_version"))
    if version == 0 and scalar(db, "SELECT count(*) FROM sqlite_schema") > 0:
        raise StoreError(
            f"{path} is a SQLite file, but not a Laneway store",
            hint="name another file with --store sqlite:///path",
        )
    if version > newest:
        raise StoreError(
            f"the store {path} was written by a newer Laneway (schema {version}, this one knows {newest})",
            hint="upgrade Laneway, or name another store with --store",
        )
    return version


def is_same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two names, links included, are of one file."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def scalar(db: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
    """The first column of the first row, or None."""
    for row in db.execute(sql, bindings):
        return row[0]
    return None
