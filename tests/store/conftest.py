"""Stores under test. Another implementation joins by one more entry in ``STORES``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from laneway.store.interface import Store
from laneway.store.sqlite import SQLiteStore

STORES = ["sqlite", "sqlite-inline"]
OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(params=STORES)
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens handles on one and the same store: each call is what another process would hold."""
    opened: list[Store] = []

    async def open_() -> Store:
        store = SQLiteStore(tmp_path / "store.db", inline=request.param == "sqlite-inline")
        opened.append(store)
        return store

    yield open_
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()
