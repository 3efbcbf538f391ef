"""A store's schema brought up to date, its books checked, its content moved to a server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from laneway.app.settings import open_store, psycopg_needed, sqlite_path, store_exists
from laneway.errors import NotFoundError, UsageError
from laneway.store.urls import shown


class Migrated(NamedTuple):
    store: str
    before: int  # 0: there was none
    after: int


def migrate(url: str, *, dry: bool = False) -> Migrated:
    """Make the store's schema what this release writes. ``dry``: only say what it would be. Raises StoreError."""
    path = sqlite_path(url)
    if path is None:
        with psycopg_needed():
            from laneway.store.postgres import connection as postgres
        return Migrated(shown(url), *postgres.upgrade(url, dry=dry))
    from laneway.store.sqlite import connection as sqlite

    return Migrated(shown(url), *sqlite.upgrade(path, dry=dry))


async def check(url: str) -> list[str]:
    """Faults in the books. Raises NotFoundError where there is no store."""
    _found(url)
    store = open_store(url)
    try:
        return await store.check()
    finally:
        await store.close()


def move(url: str, to: str) -> Mapping[str, Any]:
    """Copy a SQLite store into an empty PostgreSQL one; what was moved. Raises UsageError where that is not so, or
    while a worker lives."""
    path = sqlite_path(url)
    if path is None or sqlite_path(to) is not None:
        raise UsageError(
            f"from {shown(url)} to {shown(to)} nothing can be moved",
            hint="laneway store move postgresql://user@host/database --store sqlite:///path/to/laneway.db",
        )
    _found(url)
    begun = time.monotonic()
    with psycopg_needed():
        from laneway.store import moving
    done = moving.move(path, to)
    took = round(time.monotonic() - begun, 2)
    return {"from": shown(url), "to": shown(to), **done._asdict(), "seconds": took}


def _found(url: str) -> None:
    if not store_exists(url):
        raise NotFoundError(f"there is no store {shown(url)}", hint="the first run makes it; or give --store")
