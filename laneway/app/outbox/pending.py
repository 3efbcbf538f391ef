"""A task that was submitted inside its caller's own transaction: it exists once that has committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from laneway.app.jobs import API_RUN, NO_WORKER_S, Board, Job
from laneway.app.outbox.callers import Caller
from laneway.app.outbox.table import Away, conflict
from laneway.errors import NotFoundError, UsageError, WaitTimeout

if TYPE_CHECKING:
    from laneway.app.outbox.relay import Relay
    from laneway.clock import Clock
    from laneway.store.interface import Store
    from laneway.task import Task

R = TypeVar("R")
POLL_S = 0.02


class Arrivals:
    """Where pending tasks are looked for."""

    def __init__(self, store: Store, clock: Clock, relay: Relay) -> None:
        self.store, self.clock, self.relay = store, clock, relay

    async def find(self, key: str, hash_: bytes) -> int | None:
        """The id of this task, once it is in the store. Raises ConflictError when the key stands for another."""
        run = await self.store.find_run(API_RUN)
        found = (await self.store.named(run, [key])).get(key) if run else None
        if found and found[1] != hash_:
            raise conflict(key)
        return found[0] if found else None


class PendingJob(Job[R]):
    """As a Job. ``key`` names it from the start, ``id`` once it has arrived in the store."""

    def __init__(
        self,
        key: str,
        hash_: bytes,
        caller: Caller,
        arrivals: Arrivals,
        board: Callable[[], Board],
        decode: Callable[[bytes], R],
        *,
        outbox: bool,
    ) -> None:
        super().__init__(None, key, board, decode)
        self._hash = hash_
        self._caller = caller
        self._arrivals = arrivals
        self._outbox = outbox

    async def result(self, timeout: float | None = None) -> R:
        """As ``Job.result``. Raises NotFoundError when the transaction was rolled back, WaitTimeout when it has not
        been committed in time."""
        started = self._arrivals.clock.now()
        await self._arrive(NO_WORKER_S if timeout is None else timeout)
        left = None if timeout is None else max(0.0, timeout - (self._arrivals.clock.now() - started))
        return await super().result(left)

    async def status(self) -> Task:
        """The task as it stands. Raises NotFoundError before the commit and after a rollback."""
        await self._arrive(0.0)
        return await super().status()

    async def _arrive(self, limit: float) -> None:
        give_up = self._arrivals.clock.now() + limit
        while self._id is None:
            was_open = self._caller.is_open()
            self._id = await self._find()
            if self._id is not None:
                return
            if not was_open and not await self._waits():
                self._id = await self._arrivals.find(
                    self.key or "", self._hash
                )  # a worker may have carried it in between
                if self._id is None:
                    raise NotFoundError(
                        f"the task {self.key!r} does not exist: its transaction was rolled back",
                        hint="submit it again in a transaction that commits",
                    )
                return
            if self._arrivals.clock.now() >= give_up:
                raise WaitTimeout(
                    f"the task {self.key!r} has not been committed yet",
                    hint="it begins when your transaction commits; ask for its result after that",
                )
            await asyncio.sleep(POLL_S)

    async def _find(self) -> int | None:
        if (found := await self._arrivals.find(self.key or "", self._hash)) is not None or not self._outbox:
            return found
        try:
            await self._arrivals.relay.carry(self._caller.place)
        except Away:
            return None
        return await self._arrivals.find(self.key or "", self._hash)

    async def _waits(self) -> bool:
        """Whether its row is committed, but cannot be carried just now. Raises ConflictError when it never will be."""
        if not self._outbox:
            return False
        try:
            stands, fault = await self._arrivals.relay.stands(self._caller.place, self.key or "")
        except Away:
            return True
        if fault:
            raise conflict(self.key) if "other arguments" in fault else UsageError(f"task {self.key!r}: {fault}")
        return stands
