"""Submitting inside the caller's own transaction: the task exists if and only if that commits."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laneway.app.jobs import API_RUN, Board
from laneway.app.options import Options, of_each
from laneway.app.outbox import table as outbox
from laneway.app.outbox.callers import Caller, recognise
from laneway.app.outbox.pending import Arrivals, PendingJob
from laneway.app.preparing import Prepared
from laneway.store.interface import Store
from laneway.store.runs import Run

if TYPE_CHECKING:
    from laneway.app.outbox.relay import Relay
    from laneway.clock import Clock


@dataclass(frozen=True, slots=True)
class Letters:
    """Tasks that are ready to be written through the caller's connection."""

    prepared: Sequence[Prepared]
    caller: Caller
    owned: bool  # the connection is to the store itself
    store: Store
    clock: Clock
    arrivals: Arrivals
    board: Callable[[], Board]

    def post(self) -> list[PendingJob[Any]]:
        """Write them, on the connection's own thread; nothing is committed. Raises ConflictError."""
        tasks = [task for task, *_ in self.prepared]
        if self.owned:
            done = self.store.submit_within(self.caller.driver, API_RUN, tasks, self.clock.now())
            if done.conflicts:
                raise outbox.conflict(tasks[done.conflicts[0]].key)
        else:
            outbox.write(self.caller, tasks)
        return [
            PendingJob(task.key or "", task.hash, self.caller, self.arrivals, self.board, decode, outbox=not self.owned)
            for task, decode, _ in self.prepared
        ]


class Within:
    """What is needed before a caller's transaction may carry tasks."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        relay: Relay,
        board: Callable[[], Board],
        prepare: Callable[[Any, tuple[Any, ...], Mapping[str, Any], Options], Prepared],
        open_run: Callable[[], Awaitable[Run]],
    ) -> None:
        self._store, self._clock, self._relay, self._board = store, clock, relay, board
        self._prepare, self._open_run = prepare, open_run

    async def submit(self, connection: Any, prepared: Sequence[Prepared]) -> list[PendingJob[Any]]:
        """Through a connection that belongs to the running event loop's thread; also SQLAlchemy's async ones."""
        if hasattr(connection, "run_sync"):
            letters = await self.letters(await connection.run_sync(recognise), prepared)
            posted: list[PendingJob[Any]] = await connection.run_sync(lambda _: letters.post())
            return posted
        return (await self.letters(recognise(connection), prepared)).post()

    async def of_call(self, caller: Caller, task: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Letters:
        """One task. ``keywords``: all those of ``Laneway.submit``."""
        own = {name: value for name, value in keywords.items() if name in Options.__slots__}
        arguments = {name: value for name, value in keywords.items() if name not in own}
        return await self.letters(caller, [self._prepare(task, args, arguments, Options(**own))])

    async def of_items(self, caller: Caller, task: Any, items: Iterable[Any], options: Mapping[str, Any]) -> Letters:
        """One task for each item."""
        return await self.letters(caller, [self._prepare(task, (item,), {}, of_each(options)) for item in items])

    async def letters(self, caller: Caller, prepared: Sequence[Prepared]) -> Letters:
        """Raises UsageError for a connection that cannot be used, ConflictError for a key that had other arguments."""
        owned = self._store.owns(caller.driver, caller.place.path)
        given = [task.key for task, *_ in prepared if task.key is not None]
        named = [
            Prepared(dataclasses.replace(task, key=task.key or uuid.uuid4().hex, dedupe_for=None), decode)
            for task, decode, _ in prepared  # the classifier is not asked: the task may never come to be
        ]
        if not owned:
            await self._relay.register(caller.place)
            known = await self._store.named(await self._open_run(), given)
            for task, *_ in named:
                if task.key in known and known[task.key][1] != task.hash:
                    raise outbox.conflict(task.key)
        arrivals = Arrivals(self._store, self._clock, self._relay)
        return Letters(named, caller, owned, self._store, self._clock, arrivals, self._board)
