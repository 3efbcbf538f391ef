"""Several workers on one store and one provider, in simulated time. They come, go, die and are cut off as told."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from laneway.clock import Clock
from laneway.dispatch.calls import ModelCalls
from laneway.dispatch.desk import Admission
from laneway.dispatch.desks import Desks
from laneway.dispatch.dispatcher import Dispatcher, Execute
from laneway.dispatch.ending import Scope, Stop
from laneway.dispatch.heart import INTERVAL_S, LEASE_S, Lease
from laneway.dispatch.patience import Patience
from laneway.errors import StoreError
from laneway.providers.answers.validate import OutputCheck
from laneway.providers.model import Account, Model, Reply
from laneway.simulator.options import Options
from laneway.store.runs import Run
from laneway.store.sqlite import SQLiteStore
from laneway.task import Claimed, NewTask, State, Wire
from tests.dispatch.practice import NETWORK_S, Call, PracticeClient, Side
from tests.dispatch.world import IN_MEMORY, keep_house, no_code, no_record
from tests.virtual import EPOCH, run_virtual

POLL_S = 0.1  # 50 looks a second of each, as on a file, would be most of the work here; a server tells who waits


class Line:
    """The way to a store, that can be cut."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self.cut = False
        self.poll_s = POLL_S

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not self.cut or not callable(found):
            return found
        return _raise if name == "heartbeat" else _refuse


def _raise(*_: object) -> Any:
    raise StoreError("the store does not answer", hint="wait")


async def _refuse(*_: object, **__: object) -> Any:
    _raise()


@dataclass
class One:
    """A worker of the fleet."""

    name: str
    store: SQLiteStore
    desks: Desks
    line: Line
    dispatcher: Dispatcher = field(init=False)
    calls: list[Call] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    running: asyncio.Task[Stop] | None = None


class Fleet:
    def __init__(
        self, folder: Path, clock: Clock, side: Side, accounts: Sequence[Account], models: Sequence[str]
    ) -> None:
        self.clock = clock
        self.side = side
        self.lanes: Mapping[str, int | None] = {}
        self.workers: dict[str, One] = {}  # that are at work
        self.all: list[One] = []
        self._accounts = accounts
        self._models = {name: Model(name, name, tuple(accounts), 1.0, 1.0) for name in models}
        self._path = folder / "s.db"
        self.store = SQLiteStore(self._path, inline=True)
        self._calls = PracticeClient(clock, {account.name: side for account in accounts})

    @property
    def seconds(self) -> float:
        return self.clock.now() - EPOCH

    async def submit(self, tasks: Sequence[NewTask], run: str = "out") -> Run:
        now = self.clock.now()
        opened = await self.store.open_run(run, info={}, max_cost=None, now=now, join=True)
        await self.store.submit(opened, [replace(one, due_at=max(one.due_at, now)) for one in tasks], now)
        return opened

    async def join(self, name: str, run_id: int | None = None) -> One:
        """``run_id``: it does this run only, as ``laneway run`` does."""
        line = Line(SQLiteStore(self._path, inline=True))
        store = cast("SQLiteStore", line)
        rng = random.Random(name)
        desks = Desks(store, name, self.clock, self._models.__getitem__, self.lanes, rng)
        priced = asyncio.Event()
        priced.set()
        patience = Patience(self._calls, desks.latencies, desks.tempos)
        calls = ModelCalls(patience, desks, OutputCheck(no_code), no_record, priced)
        one = One(name, store, desks, line)
        executors = dict.fromkeys((Wire.CHAT, Wire.MESSAGES), self._traced(calls, one))
        one.dispatcher = Dispatcher(store, name, self.clock, desks, executors, scope=Scope(run_id), rng=rng)
        lease = Lease(self.clock.now())
        desks.lease_until = lambda: lease.held_until
        await store.join(name, LEASE_S, self.clock.now())
        one.tasks = [
            asyncio.ensure_future(keep_house(self.clock, desks, one.dispatcher)),
            asyncio.ensure_future(self._beat(one, lease)),
        ]
        one.running = asyncio.ensure_future(one.dispatcher.run())
        self.workers[name] = one
        self.all.append(one)
        return one

    def kill(self, name: str) -> None:
        """As with -9, on another machine: nobody is told."""
        one = self.workers.pop(name)
        assert one.running is not None
        for flight in one.dispatcher._flights:
            if flight.call is not None:
                flight.call.cancel()
        one.store.settle = _never  # type: ignore[method-assign, assignment]
        for task in (*one.tasks, one.running):
            task.cancel()

    async def leave(self, name: str) -> Stop:
        one = self.workers.pop(name)
        one.dispatcher.drain()
        assert one.running is not None
        stop = await one.running
        for task in one.tasks:
            task.cancel()
        await one.store.leave(name, self.clock.now())
        return stop

    async def done(self) -> None:
        """Until nothing is left."""
        while any(n for cell in await self.store.tally() for state, n in cell.counts.items() if not state.ended):  # noqa: ASYNC110
            await asyncio.sleep(0.25)

    def rate(self, since: float, until: float, worker: str | None = None) -> float:
        """Starts a second in between that the provider let in."""
        calls = [call for one in self.all if worker in (None, one.name) for call in one.calls]
        return sum(since <= call.at < until and call.failure is None for call in calls) / (until - since)

    @property
    def refused(self) -> int:
        return int(self.side.provider.books.as_json(self.seconds)["rate_limited"])

    async def states(self) -> dict[State, int]:
        found: dict[State, int] = {}
        for cell in await self.store.tally():
            for state, n in cell.counts.items():
                found[state] = found.get(state, 0) + n
        return {state: n for state, n in found.items() if n}

    def _traced(self, execute: Execute, one: One) -> Execute:
        async def call(task: Claimed, admission: Admission | None) -> Reply:
            assert admission is not None
            at, tries = self.clock.now() - EPOCH, task.attempts + task.refusals
            size = admission.size
            traced = Call(at, task.account, task.model, task.key or "", task.urgency, task.lane, size, tries)
            one.calls.append(traced)
            reply = await execute(task, admission)
            traced.ended_at, traced.failure = self.clock.now() - EPOCH, reply.failure
            return reply

        return call

    async def _beat(self, one: One, lease: Lease) -> None:
        """As the heart does, and the housekeeping."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            now = self.clock.now()
            with suppress(StoreError):
                if not one.store.heartbeat(one.name, LEASE_S, now):
                    await one.store.join(one.name, LEASE_S, now)
                lease.kept(now, self.clock.now())
                if lease.steady(now):
                    await one.store.reap(one.name, now)

    async def close(self) -> None:
        for name in list(self.workers):
            await self.leave(name)
        assert await self.store.check() == []
        for one in self.all:
            for task in one.tasks:
                with suppress(asyncio.CancelledError):
                    await task
            await one.store.close()
        await self.store.close()


async def _never(*_: object) -> list[bool]:
    await asyncio.get_running_loop().create_future()
    return []


def in_fleet(
    then: Callable[[Fleet], Awaitable[object]],
    *,
    options: Options,
    accounts: Sequence[Account],
    models: Sequence[str] = ("small",),
    lanes: Mapping[str, int | None] | None = None,
    seed: int = 0,
) -> None:
    """Let it happen, in simulated time."""

    async def live(clock: Clock) -> None:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            keys = tuple(account.name for account in accounts)
            side = Side(replace(options, key=keys), clock, random.Random(seed), NETWORK_S)
            fleet = Fleet(Path(folder), clock, side, accounts, models)
            fleet.lanes = lanes or {}
            await then(fleet)
            await fleet.close()

    run_virtual(live)
