"""Stores under test. Another implementation joins by one more entry in ``STORES``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from laneway.store.interface import Store
from laneway.store.postgres import PostgresStore
from laneway.store.postgres.connection import connect_first, migrate, migrations
from laneway.store.sqlite import SQLiteStore
from tests.postgres import Databases
from tests.store.newer import NEXT

STORES = ["sqlite", "sqlite-inline", "postgresql"]
NEWER = "postgresql-newer"  # the next release's schema: it must not hinder workers of this one
OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(scope="session")
def migrated_database(postgres_databases: Databases) -> Iterator[str]:
    """A PostgreSQL database with the schema in it, to be copied."""
    url = postgres_databases.create()
    connect_first(url).close()
    yield url
    postgres_databases.drop(url)


@pytest.fixture(scope="session")
def newer_database(postgres_databases: Databases) -> Iterator[str]:
    """The same after a migration that is to come."""
    url = postgres_databases.create()
    with connect_first(url) as db:
        migrate(db, [*migrations(), NEXT])
    yield url
    postgres_databases.drop(url)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "open_store" in metafunc.fixturenames:
        core = metafunc.module.__name__.startswith("tests.store.conformance.")
        metafunc.parametrize("open_store", [*STORES, NEWER] if core else STORES, indirect=True)


@pytest.fixture
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens handles on one and the same store: each call is what another process would hold."""
    opened: list[Store] = []
    postgres: Databases | None = None
    if request.param in ("postgresql", NEWER):
        template = "newer_database" if request.param == NEWER else "migrated_database"
        postgres = request.getfixturevalue("postgres_databases")
        url = postgres.create(template=request.getfixturevalue(template))

    async def open_() -> Store:
        store: Store
        if postgres is not None:
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
