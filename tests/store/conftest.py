"""Stores under test. Another implementation joins by one more entry in ``STORES``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from laneway.store.interface import Store
from laneway.store.postgres import PostgresStore
from laneway.store.postgres.connection import connect_first
from laneway.store.sqlite import SQLiteStore
from tests.postgres import Databases

STORES = ["sqlite", "sqlite-inline", "postgresql"]
OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(scope="session")
def migrated_database(postgres_databases: Databases) -> Iterator[str]:
    """A PostgreSQL database with the schema in it, to be copied."""
    url = postgres_databases.create()
    connect_first(url).close()
    yield url
    postgres_databases.drop(url)


@pytest.fixture(params=STORES)
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens handles on one and the same store: each call is what another process would hold."""
    opened: list[Store] = []
    postgres: Databases | None = None
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres_databases")
        url = postgres.create(template=request.getfixturevalue("migrated_database"))

    async def open_() -> Store:
        store: Store
        if request.param == "postgresql":
            store = PostgresStore(url)
        else:
            store = SQLiteStore(tmp_path / "store.db", inline=request.param == "sqlite-inline")
        opened.append(store)
        return store

    yield open_
    for store in opened:
        await store.close()
    if postgres is not None:
        postgres.drop(url)


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()
