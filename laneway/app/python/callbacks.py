"""Results by callback function: each ended task of a type is told to it, in the order of settlement, in a worker of the
app. At least once: after a crash those told last may come again, so what a callback does must bear that."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from laneway.app.duty import Duty
from laneway.errors import LanewayError, StoreError, UsageError
from laneway.task import State, Task

if TYPE_CHECKING:
    from laneway.clock import Clock
    from laneway.store.interface import Store

PREFIX = "callback:"
POLL_S = 0.25  # how soon tasks are told that another process ended
BATCH = 100
SAVE_S = 0.2  # how much may be told again after a crash
DELAYS = (1.0, 2.0, 4.0, 8.0)  # seconds before a callback that raised is called again; then the task is skipped
KEEP_SKIPPED = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """An ended task, as a callback is told of it."""

    id: int
    key: str | None
    type: str
    state: State  # SUCCEEDED, FAILED or CANCELLED
    value: Any  # what ``job.result()`` returns; None unless it succeeded
    error: Mapping[str, Any] | None  # class, code, message, status
    tags: tuple[str, ...] = ()


Value = Callable[[Task, bytes], Any]  # from a task and its output to what ``job.result()`` returns
Callback = Callable[[Ended], Awaitable[None] | None]
CallbackFunction = TypeVar("CallbackFunction", bound=Callback)


@dataclass(frozen=True)
class Registered:
    name: str  # under which its place in the results is kept
    function: Callback
    types: frozenset[str]


@dataclass(slots=True)
class _Place:
    """How far a callback has come."""

    cursor: int
    skipped: list[int] = field(default_factory=list)  # ids of tasks that it raised at, time after time
    saved_at: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {"cursor": self.cursor, "skipped": self.skipped[-KEEP_SKIPPED:]}


class Callbacks:
    """The app's callbacks, and their delivery while a worker runs."""

    def __init__(self) -> None:
        self._registered: dict[str, Registered] = {}
        self._news = asyncio.Event()

    def register(self, function: Callback, types: frozenset[str], name: str | None) -> None:
        name = name or _full_name(function).removeprefix("__main__.")
        known = self._registered.get(name)
        if known is not None and _full_name(known.function) != _full_name(
            function
        ):  # else a notebook's cell, run again
            raise UsageError(f"two callbacks are called {name!r}", hint='give one another name: name="…"')
        self._registered[name] = Registered(name, function, types)

    def poke(self) -> None:
        """A task ended in this process."""
        self._news.set()

    async def begin(self, store: Store, worker: str, clock: Clock, value: Value) -> list[Delivery]:
        """Before any work is done: where a callback is new, its first task is the next to end."""
        self._news = asyncio.Event()
        deliveries = []
        for one in self._registered.values():
            name = PREFIX + one.name
            if await store.load_state(name) is None:
                await store.save_state(name, _Place(await store.last_result()).as_json(), clock.now())
            duty = Duty(store, name, worker, clock)
            deliveries.append(Delivery(one, store, clock, value, duty, self._news))
        return deliveries


class Delivery:
    """Tells one callback of its tasks, for as long as this worker has that duty."""

    def __init__(
        self,
        callback: Registered,
        store: Store,
        clock: Clock,
        value: Value,
        duty: Duty,
        news: asyncio.Event,
    ) -> None:
        self._callback = callback
        self._store = store
        self._clock = clock
        self._value = value
        self._duty = duty
        self._news = news
        self._place: _Place | None = None  # None: another worker has the duty
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until ``stop``; then everything that has ended is told before it returns."""
        while True:
            last_round = self._stopping.is_set()
            self._news.clear()
            try:
                await self._round()
            except StoreError as error:
                log.warning("callback %s: %s", self._callback.name, error.message)
            if last_round:
                return
            await _any(POLL_S, self._news, self._stopping)

    def stop(self) -> None:
        self._stopping.set()

    async def _round(self) -> None:
        while await self._has_duty() and self._place is not None:
            news = await self._store.ended_after(self._place.cursor, BATCH)
            if not news:
                return
            tasks = {task.id: task for task in await self._store.get_tasks([task_id for _, task_id in news])}
            for seq, task_id in news:
                task = tasks.get(task_id)
                mine = task is not None and task.type in self._callback.types and task.state.ended
                if task is not None and mine and not await self._tell(task):
                    return  # another worker goes on from here
                if not self._on_duty():  # telling took longer than the duty lasted
                    return
                self._place.cursor = seq
                if self._clock.now() - self._place.saved_at >= SAVE_S:
                    await self._save()
            await self._save()

    async def _tell(self, task: Task) -> bool:
        """False when the duty was lost before it succeeded."""
        if task.pruned and task.state is State.SUCCEEDED:
            return self._skip(task, "its result was pruned before it could be told")
        for delay in (*DELAYS, None):
            try:
                ended = Ended(
                    task.id,
                    task.key,
                    task.type,
                    task.state,
                    self._value(task, task.output or b"null") if task.state is State.SUCCEEDED else None,
                    task.error,
                    task.tags,
                )
                await self._call(ended)
                return True
            except Exception:
                log.warning("callback %s raised at task %d", self._callback.name, task.id, exc_info=True)
            if delay is not None:
                await self._save()  # what came before is told
                await _any(delay, self._stopping)
                if self._stopping.is_set() or not await self._has_duty():
                    return False  # the next worker goes on with this task
        return self._skip(task, f"it raised {len(DELAYS) + 1} times")

    def _skip(self, task: Task, why: str) -> bool:
        log.error("callback %s: task %d is skipped: %s", self._callback.name, task.id, why)
        if self._place is not None:
            self._place.skipped.append(task.id)
        return True

    async def _call(self, ended: Ended) -> None:
        function = self._callback.function
        if inspect.iscoroutinefunction(function):
            work = asyncio.ensure_future(function(ended))
        else:
            work = asyncio.ensure_future(asyncio.to_thread(function, ended))
        while not work.done():  # a long one must not cost the duty
            await asyncio.wait([work], timeout=1.0)
            await self._has_duty()
        work.result()

    async def _has_duty(self) -> bool:
        try:
            held = await self._duty.held()
        except LanewayError as error:
            log.warning("callback %s: %s", self._callback.name, error.message)
            held = False
        if not held:
            self._place = None
        elif self._place is None:
            saved = await self._store.load_state(PREFIX + self._callback.name)
            assert saved is not None, "it is saved before any work begins"
            self._place = _Place(int(saved[0]["cursor"]), list(saved[0]["skipped"]))
        return held

    def _on_duty(self) -> bool:
        return self._place is not None

    async def _save(self) -> None:
        if self._place is not None:
            self._place.saved_at = self._clock.now()
            await self._store.save_state(PREFIX + self._callback.name, self._place.as_json(), self._clock.now())


def _full_name(function: Callback) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"


async def _any(seconds: float, *events: asyncio.Event) -> None:
    """Until one of the events, or for so long."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
