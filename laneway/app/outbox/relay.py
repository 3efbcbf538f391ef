"""The relay: carries committed tasks from outboxes to the store. By key, so that doing it twice does no harm: a row is
deleted only after the store's commit."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from laneway.app.duty import Duty
from laneway.app.outbox.callers import Place
from laneway.app.outbox.table import Away, OutboxFile, Row, conflict, from_text
from laneway.clock import Clock
from laneway.errors import StoreError
from laneway.logs import Quoted
from laneway.store.interface import Store
from laneway.store.runs import Run

PREFIX = "outbox:"
POLL_S = 0.05  # how soon a committed task is seen
LIST_S = 0.5  # how soon an outbox is seen that nobody has used before
BATCH = 500
PATIENCE_S = 5.0  # how long an outbox may be locked or away before that is said

T = TypeVar("T")
log = logging.getLogger(__name__)


class Relay:
    """Knows the store's outboxes. ``run()`` in workers; ``carry()`` also where somebody waits for a result."""

    def __init__(self, store: Store, clock: Clock, api_run: Callable[[], Awaitable[Run]]) -> None:
        self._store = store
        self._clock = clock
        self._api_run = api_run
        self._files: dict[Place, OutboxFile] = {}
        self._undeleted: dict[Place, list[Row]] = {}  # carried, but the application held the database
        self._registered: set[Place] = set()
        self._away_since: dict[Place, float] = {}
        self._told: set[Place] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="laneway-relay")

    async def register(self, place: Place) -> None:
        """Let every worker of this store know where the outbox is. Durable when it returns."""
        if place in self._registered:
            return
        name = PREFIX + hashlib.blake2b(place.path.encode(), digest_size=8).hexdigest()
        content = {"path": place.path, "library": place.library}
        known = await self._store.load_state(name)
        if known is None or known[0] != content:
            await self._store.save_state(name, content, self._clock.now())
        self._registered.add(place)

    async def run(self, duty: Duty) -> None:
        """Look after all outboxes, until cancelled; one worker of the store at a time."""
        places: list[Place] = []
        listed_at: float | None = None
        while True:
            try:
                now = self._clock.now()
                if listed_at is None or now - listed_at >= LIST_S:
                    places = [
                        Place(str(known["path"]), str(known["library"]))
                        for known, _ in (await self._store.states(PREFIX)).values()
                    ]
                    listed_at = now
                if places and await duty.held():
                    for place in places:
                        await self._look(place)
            except StoreError as error:
                log.warning("outbox: %s", error.message)
                await asyncio.sleep(1.0)
            except Exception:
                log.exception("outbox: internal error")  # one bad row must not end it for everybody
                await asyncio.sleep(1.0)
            await asyncio.sleep(POLL_S)

    async def carry(self, place: Place) -> None:
        """Take what is committed there into the store. Raises Away and StoreError; nothing is lost by either."""
        file = self._file(place)
        while True:
            left = self._undeleted.get(place, [])
            limit = BATCH + len(left)
            rows = [row for row in await self._do(partial(file.read, limit)) if row not in left]
            left = self._undeleted[place] = left + await self._submit(file, rows)
            if left:
                await self._do(partial(file.delete, left))
                self._undeleted[place] = []
            if len(rows) < BATCH:
                return

    async def stands(self, place: Place, key: str) -> tuple[bool, str | None]:
        """Whether a committed row with this key waits there, and why it cannot be taken. Raises Away."""
        return await self._do(lambda: self._file(place).stands(key))

    async def close(self) -> None:
        """Safe to call twice."""
        for file in self._files.values():
            await self._do(file.close)
        self._files.clear()
        self._thread.shutdown()

    async def _look(self, place: Place) -> None:
        file = self._file(place)
        try:
            if await self._do(file.changed) or self._undeleted.get(place):
                try:
                    await self.carry(place)
                except Away:
                    await self._do(file.forget_version)  # look again, even if nothing changes
                    raise
        except Away as error:
            since = self._away_since.setdefault(place, self._clock.now())
            if self._clock.now() - since >= PATIENCE_S and place not in self._told:
                self._told.add(place)
                log.warning("the outbox in %s cannot be read: %s; its tasks wait", place.path, error)
        else:
            self._away_since.pop(place, None)
            if place in self._told:
                self._told.discard(place)
                log.warning("the outbox in %s is back", place.path)

    async def _submit(self, file: OutboxFile, rows: Sequence[Row]) -> list[Row]:
        """Rows that are in the store now."""
        if not rows:
            return []
        faults: dict[Row, str] = {}
        readable, tasks = [], []
        for row in rows:
            try:
                tasks.append(from_text(row.task))
                readable.append(row)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                faults[row] = f"cannot be read: {error}"
        done = await self._store.submit(await self._api_run(), tasks, self._clock.now())
        for at in done.conflicts:
            faults[readable[at]] = str(conflict(readable[at].key))
        if faults:
            for row, fault in faults.items():
                log.error("the task %r in the outbox %s is left there: %s", row.key, file.place.path, Quoted(fault))
            await self._do(lambda: file.mark(faults))
        return [row for row in readable if row not in faults]

    def _file(self, place: Place) -> OutboxFile:
        return self._files.setdefault(place, OutboxFile(place))

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
