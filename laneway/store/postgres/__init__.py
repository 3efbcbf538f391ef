"""The store on PostgreSQL, for many machines."""

from laneway.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
