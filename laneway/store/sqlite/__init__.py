"""The embedded store: one SQLite file, nothing to install or start."""

from laneway.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
