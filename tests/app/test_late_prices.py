from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, cast

import pytest

from laneway.app.late_prices import LatePrices

if TYPE_CHECKING:
    from laneway.providers.catalog import Catalog


class Counting:
    """A catalog that counts how often its prices are loaded, and can fail to."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.loads = 0
        self.fault = fault
        self.thread: threading.Thread | None = None

    def load_prices(self) -> None:
        self.loads += 1
        self.thread = threading.current_thread()
        if self.fault is not None:
            raise self.fault


def late(catalog: Counting, begun: asyncio.Event) -> LatePrices:
    return LatePrices(cast("Catalog", catalog), begun)


async def test_without_a_call_no_prices_are_loaded() -> None:
    catalog = Counting()
    async with late(catalog, asyncio.Event()):
        await asyncio.sleep(0)
    assert catalog.loads == 0


async def test_the_first_call_has_them_loaded_on_another_thread() -> None:
    catalog, begun = Counting(), asyncio.Event()
    async with late(catalog, begun) as prices:
        begun.set()
        await prices.known()
        assert catalog.loads == 1
        assert catalog.thread is not threading.main_thread()


async def test_who_waits_for_them_needs_no_call() -> None:
    catalog = Counting()
    async with late(catalog, asyncio.Event()) as prices:
        await asyncio.gather(prices.wait(), prices.wait())
    assert catalog.loads == 1


async def test_a_fault_keeps_nobody_waiting_and_is_told_at_the_end() -> None:
    with pytest.raises(ValueError, match="broken table"):
        async with late(Counting(ValueError("broken table")), asyncio.Event()) as prices:
            await prices.wait()
