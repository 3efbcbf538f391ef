"""A small world in simulated time: a provider with limits of its own, a store, one dispatcher."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from laneway.clock import Clock
from laneway.dispatch.calls import Judge, ModelCalls
from laneway.dispatch.desk import Desk
from laneway.dispatch.desks import Desks
from laneway.dispatch.dispatcher import Dispatcher, Execute
from laneway.dispatch.ending import Scope, Stop
from laneway.dispatch.heart import INTERVAL_S
from laneway.dispatch.patience import Caller, Patience
from laneway.dispatch.worker import SOON_S
from laneway.errors import ConfigError, StoreError
from laneway.providers.answers.complaints import Complaint
from laneway.providers.answers.validate import OutputCheck
from laneway.providers.model import Account, Limits, Model, Reply
from laneway.providers.streams.follow import Listener
from laneway.store.budgets import NO_LIMITS, Budget
from laneway.store.runs import Run
from laneway.store.sqlite import SQLiteStore
from laneway.task import Claimed, Failure, FailureClass, NewTask, Route, Spec, Urgency, Usage, Wire
from tests.virtual import EPOCH, run_virtual

REFUSED = Failure(FailureClass.TRANSIENT, "rate_limit_exceeded", "slow down", 429, 0.5, refused=True)
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # else each commit would wait for a disk
DOWN = Failure(FailureClass.TRANSIENT, "server_error", "it is down", 500, outage=True)


@dataclass
class Provider:
    """Answers after ``latency`` seconds. Counts by itself, and refuses what its own limits do not permit."""

    clock: Clock
    latency: Callable[[random.Random], float] = lambda rng: 0.3
    rpm: float | None = None
    concurrency: int | None = None
    burst: float = 1.0
    fault: Callable[[float, str], Failure | None] = lambda at, model: None  # (seconds since the start, model)
    account_fault: Callable[[float, str], Failure | None] = lambda at, account: None
    account_latency: Callable[[float, str], float | None] = lambda at, account: None  # None: ``latency``
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    starts: list[tuple[float, str, str]] = field(default_factory=list)  # (when, model, body)
    accounts: list[tuple[float, str]] = field(default_factory=list)  # (when, account) of each start
    complaints: list[tuple[str, int]] = field(default_factory=list)  # (model asked, unusable answers it is shown)
    refused: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    _level: float = 0.0
    _at: float | None = None

    async def call(
        self,
        account: Account,
        model: Model,
        spec: Spec,
        body: bytes,
        *,
        timeout: float,
        complaint: Complaint | None = None,
        listener: Listener | None = None,
    ) -> Reply:
        at = self.clock.now() - EPOCH
        if not self._permitted(at):
            self.refused += 1
            return Reply(None, None, REFUSED, 0.0)
        self.starts.append((at, model.name, body.decode()))
        self.complaints.append((model.name, complaint.times if complaint else 0))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.accounts.append((at, account.name))
        failure = self.fault(at, model.name) or self.account_fault(at, account.name)
        latency = self.account_latency(at, account.name) or self.latency(self.rng)
        await asyncio.sleep(latency)
        self.in_flight -= 1
        if failure is not None:
            return Reply(None, None, failure, latency, sent=failure.code != "connection")
        return Reply(b'{"choices":[{"message":{"content":"yes"}}]}', Usage(100, 50), None, latency)

    def _permitted(self, at: float) -> bool:
        if self.concurrency is not None and self.in_flight >= self.concurrency:
            return False
        if self.rpm is None:
            return True
        capacity = max(1.0, self.rpm / 60 * self.burst)
        before = capacity if self._at is None else self._level + (at - self._at) * self.rpm / 60
        self._level, self._at = min(capacity, before), at
        if self._level < 1 - 1e-6:
            return False
        self._level -= 1
        return True


@dataclass
class Stage:
    """What stands before any provider: a store, one run in it, one dispatcher."""

    clock: Clock
    store: SQLiteStore
    run: Run
    desks: Desks
    dispatcher: Dispatcher

    def desk(self, account: str = "main") -> Desk:
        return self.desks.desk(account)

    @property
    def seconds(self) -> float:
        return self.clock.now() - EPOCH


@dataclass
class World(Stage):
    provider: Provider


Code = Callable[[Stage, Claimed], Awaitable[Reply]]


def no_code(reference: str) -> None:
    raise ConfigError(f"{reference} is not here", hint="bring it")


async def no_record(task: Claimed) -> dict[str, object]:
    return {}


def task(
    key: str,
    urgency: Urgency = Urgency.STANDARD,
    lane: str = "general",
    model: str = "small",
    due: float = EPOCH,
    **more: object,
) -> NewTask:
    spec = more.pop("spec", SPEC)
    fallbacks = more.pop("fallbacks", ())
    route = Route(lane, urgency, model, fallbacks=fallbacks)  # type: ignore[arg-type]
    fields = {"input_tokens": 100, "output_tokens": 50, **more}
    return NewTask(key.encode(), spec, route, due, key=key, **fields)  # type: ignore[arg-type]


SPEC = Spec("chat", Wire.CHAT)


@asynccontextmanager
async def staged(
    clock: Clock,
    caller: Caller,
    models: Mapping[str, Model],
    tasks: Sequence[NewTask],
    *,
    lanes: Mapping[str, int | None] | None = None,
    weights: Mapping[str, float] | None = None,
    max_cost: float | None = None,
    max_in_flight: int = 2000,
    whole_store: bool = False,
    budgets: Mapping[Budget, float] = NO_LIMITS,
    watched: Callable[[Execute], Execute] = lambda calls: calls,
    judge: Judge | None = None,
    code: Code | None = None,
) -> AsyncIterator[Stage]:
    """A store with the tasks in it, and a dispatcher that has not begun yet. ``code``: what its Python tasks do."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        store = SQLiteStore(Path(folder) / "s.db", inline=True)
        run = await store.open_run("out", info={}, max_cost=max_cost, now=clock.now())
        await store.submit(run, tasks, clock.now(), held=True)
        await store.seal_run(run, clock.now())
        desks = Desks(store, "w", clock, models.__getitem__, lanes or {}, random.Random(2))
        priced = asyncio.Event()
        priced.set()
        patience = Patience(caller, desks.latencies, desks.tempos)
        calls = ModelCalls(patience, desks, OutputCheck(no_code), no_record, priced, judge)
        executors = dict.fromkeys((Wire.CHAT, Wire.MESSAGES, Wire.RESPONSES, Wire.EMBEDDINGS), watched(calls))
        dispatcher = Dispatcher(
            store,
            "w",
            clock,
            desks,
            executors,
            scope=None if whole_store else Scope(run.id, budget=max_cost is not None),
            weights=weights,
            max_in_flight=max_in_flight,
            rng=random.Random(3),
            limits=budgets,
        )
        await store.join("w", 1e9, clock.now())
        housekeeping = asyncio.ensure_future(keep_house(clock, desks, dispatcher))
        stage = Stage(clock, store, run, desks, dispatcher)
        if code is not None:
            executors[Wire.PYTHON] = lambda task, _: code(stage, task)
        yield stage
        housekeeping.cancel()
        with suppress(asyncio.CancelledError):
            await housekeeping
        await store.close()


async def keep_house(clock: Clock, desks: Desks, dispatcher: Dispatcher) -> None:
    """As a worker does."""
    while True:
        await asyncio.sleep(SOON_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(desks.hurry.wait(), INTERVAL_S - SOON_S)
        with suppress(StoreError):
            await desks.renew(clock.now())
        dispatcher.poke()


def in_world(
    tasks: Sequence[NewTask],
    then: Callable[[World, Stop], object] = lambda world, stop: None,
    *,
    limits: Limits | None = None,
    accounts: Sequence[Account] | None = None,
    max_in_flight: int = 2000,
    lanes: dict[str, int | None] | None = None,
    weights: dict[str, float] | None = None,
    max_cost: float | None = None,
    before: Callable[[World], Awaitable[None]] | None = None,
    meanwhile: Callable[[World], object] | None = None,
    whole_store: bool = False,
    catalog: Mapping[str, Sequence[Account]] | None = None,
    budgets: Mapping[Budget, float] = NO_LIMITS,
    models: Sequence[Model] = (),
    judge: Judge | None = None,
    code: Code | None = None,
    **provider: object,
) -> None:
    """Run the tasks to their end in simulated time, then look at what happened."""

    async def live(clock: Clock) -> None:
        main = Account("main", "openai", Wire.CHAT, "http://provider", limits=limits or Limits(concurrency=10))
        served = catalog or dict.fromkeys(("small", "strong"), accounts or [main])
        known = {name: Model(name, name, tuple(pools), 1.0, 1.0) for name, pools in served.items()}
        known.update({model.name: model for model in models})
        side = Provider(clock, **provider)  # type: ignore[arg-type]
        async with staged(
            clock,
            side,
            known,
            tasks,
            lanes=lanes,
            weights=weights,
            max_cost=max_cost,
            max_in_flight=max_in_flight,
            whole_store=whole_store,
            budgets=budgets,
            judge=judge,
            code=code,
        ) as stage:
            world = World(**vars(stage), provider=side)
            if before:
                await before(world)
            other = asyncio.ensure_future(meanwhile(world)) if meanwhile else None  # type: ignore[call-overload]
            stop = await world.dispatcher.run()
            if other:
                await other
            assert await world.store.check() == []
            outcome = then(world, stop)
            if asyncio.iscoroutine(outcome):
                await outcome

    run_virtual(live)
