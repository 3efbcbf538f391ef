"""Prices that are loaded while the first calls are on their way."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laneway.providers.catalog import Catalog

SENT_S = 0.02  # what the first calls take to be sent; imports on another thread would delay them


class LatePrices:
    """An async context in which a catalog's prices are loaded, which takes 0.2 s of imports: once ``begun``, which says
    that a first call is being made, or when somebody waits for them. Without a call they are not."""

    def __init__(self, catalog: Catalog, begun: asyncio.Event) -> None:
        self._catalog = catalog
        self._begun = begun
        self._known = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LatePrices:
        self._loading = asyncio.create_task(self._load())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loading is not None, "it is left after it was entered"
        if not self._begun.is_set():
            self._loading.cancel()
        await asyncio.wait([self._loading])
        if error is None and not self._loading.cancelled():
            self._loading.result()

    async def known(self) -> None:
        """Return when they were loaded, without hurrying it."""
        await self._known.wait()

    async def wait(self) -> None:
        """Return when they are loaded."""
        self._begun.set()
        await self._known.wait()

    async def _load(self) -> None:
        await self._begun.wait()
        await asyncio.sleep(SENT_S)
        try:
            await asyncio.to_thread(self._catalog.load_prices)
        finally:
            self._known.set()
