"""Waiting for what other processes do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laneway.store.interface import Store


class News(StrEnum):
    """What a process may wait for that others bring."""

    WORK = "work"  # tasks that became ready
    RESULTS = "results"  # tasks that ended


def listen(store: Store, kind: News, heard: Callable[[], None]) -> Callable[[], None]:
    """Have ``heard`` called on the running loop when others announce such news. Returns what ends it."""
    loop = asyncio.get_running_loop()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop was closed, and nobody waits there any more
            loop.call_soon_threadsafe(heard)

    return store.listen(kind, tell)


class Ear:
    """Of one event loop, for one kind of news."""

    def __init__(self, store: Store, kind: News) -> None:
        self._poll_s = store.poll_s
        self._news = asyncio.Event()
        self.close = listen(store, kind, self._news.set)

    async def wait(self) -> None:
        """Until there may be news: when some were announced, else after the store's ``poll_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._news.wait()
        self._news.clear()
