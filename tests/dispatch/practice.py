"""The real simulator behind the dispatcher, in simulated time: hours of limits, faults and outages in milliseconds.

The simulator's own policy (``laneway.simulator.provider``) takes each request as bytes and keeps its own books; its
replies go through the real client's reading of headers, failures and usage. Only the socket is left out: there is a
delay each way instead. To experiment, from the project's folder::

    from laneway.providers.model import Limits
    from laneway.simulator.options import Options
    from laneway.task import Urgency
    from tests.dispatch.practice import account, practise, prompt

    world = practise(
        [prompt(str(i), input_tokens=200) for i in range(1000)],
        options=Options(latency=1.0, spread=0.5, rpm=600, burst=10, output_tokens=80),
        accounts=[account("main", limits=Limits(requests_per_minute=600))],
        changes={30.0: {"rpm": 300}},  # POST /control, after so many seconds
        outages=[(60.0, 90.0)],  # nothing listens there
        arrivals=[(5.0, prompt("late", Urgency.URGENT))],
    )
    print(world.seconds, world.stop, world.books())
    for call in world.calls[:10]:
        print(call.at, call.account, call.key, call.size, call.ended_at, call.failure)
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import orjson

from laneway.clock import Clock
from laneway.dispatch.desk import Admission
from laneway.dispatch.dispatcher import Execute
from laneway.dispatch.ending import Stop
from laneway.dispatch.limits import Size
from laneway.providers.answers.structured import Asked
from laneway.providers.client import Client
from laneway.providers.failures import connection_failed, timed_out
from laneway.providers.model import Account, Limits, Model, Reply
from laneway.providers.presets import presets
from laneway.providers.streams.follow import Following
from laneway.simulator import provider as simulated
from laneway.simulator.options import Options
from laneway.simulator.wires.base import FRAMING_TOKENS
from laneway.task import Attempt, Claimed, Failure, NewTask, Route, Spec, State, Urgency, Wire
from tests.dispatch.world import Stage, staged
from tests.virtual import EPOCH, run_virtual

NETWORK_S = 0.001  # each way
JITTER = 0.5  # sigma of the log-normal factor on it
NOTICED_AFTER_S = 0.25  # a call that hangs keeps its place until the simulator sees that its client is gone
PATHS = {
    Wire.CHAT: "chat/completions",
    Wire.RESPONSES: "responses",
    Wire.EMBEDDINGS: "embeddings",
    Wire.MESSAGES: "messages",
}
Response = tuple[int, Mapping[str, str], bytes]  # status, headers, body


class Side:
    """One simulated provider and the way to it."""

    def __init__(self, options: Options, clock: Clock, rng: random.Random, network: float) -> None:
        self.options = options
        self.reachable = True
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.provider = simulated.Provider(options, self._loop.time())
        self._wires = simulated.wires()
        self._rng = rng
        self._network = network
        self._open: dict[asyncio.Future[None], simulated.Call] = {}

    async def post(self, wire: Wire, key: str, body: bytes) -> Response:
        """A request's response. Raises as the HTTP client does."""
        await self._travel()
        if not self.reachable:
            raise ConnectionRefusedError(111, "Connect call failed")
        taken = self.provider.arrive(self._wires[PATHS[wire]], key, body, self._loop.time(), self._clock.now())
        reply = taken if isinstance(taken, simulated.Reply) else await self._carried_out(taken)
        await self._travel()
        answer = orjson.dumps(reply.body)
        if reply.cut:
            raise aiohttp.ClientPayloadError("Response payload is not completed")
        return reply.status, reply.headers, answer

    async def _carried_out(self, call: simulated.Call) -> simulated.Reply:
        assert not call.stream, "nothing here reads streams"
        done: asyncio.Future[None] = self._loop.create_future()
        self._open[done] = call
        over_at = self._loop.time() + call.delay
        timer = None if call.hangs else self._loop.call_at(over_at, _finish, done)
        try:
            await done
        except asyncio.CancelledError:  # the client has hung up; what was asked is done and charged all the same
            if call.hangs:
                self._loop.call_later(NOTICED_AFTER_S, self.provider.leave, call)
            else:
                self._loop.call_at(over_at, self._answer, call, False)
            raise
        finally:
            del self._open[done]
            if timer is not None:
                timer.cancel()
        return self._answer(call, True)

    def _answer(self, call: simulated.Call, listening: bool) -> simulated.Reply:
        reply = self.provider.answer(call, self._loop.time(), self._clock.now())
        self.provider.end(call, reply.ending, listening=listening)
        return reply

    def unplug(self) -> None:
        """Nothing listens any more; what is under way breaks off and is not answered."""
        self.reachable = False
        for done, call in list(self._open.items()):
            self.provider.leave(call)
            if not done.done():
                done.set_exception(ConnectionResetError(104, "Connection reset by peer"))

    def plug_in(self) -> None:
        self.reachable = True

    async def _travel(self) -> None:
        if self._network:
            await asyncio.sleep(self._network * math.exp(self._rng.gauss(0.0, JITTER)))


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


class PracticeClient(Client):
    """The real client, but for the socket."""

    def __init__(self, clock: Clock, sides: Mapping[str, Side]) -> None:
        super().__init__(clock)
        self._sides = sides  # by account

    async def _exchange(
        self,
        asked: Asked,
        account: Account,
        spec: Spec,
        started: float,
        timeout: float,
        following: Following | None = None,
    ) -> Reply:
        began = self._clock.now()
        try:
            async with asyncio.timeout(timeout):
                side = self._sides[account.name]
                status, headers, answer = await side.post(asked.wire, account.key or "", orjson.dumps(asked.data))
        except TimeoutError:
            return Reply(None, None, timed_out(timeout), self._clock.now() - began)
        except (aiohttp.ClientError, OSError) as error:
            return Reply(None, None, connection_failed(error), self._clock.now() - began)
        latency = self._clock.now() - began
        return self._read_reply(asked, account, spec, status, headers, answer, latency)


@dataclass(slots=True)
class Call:
    """One call as the dispatcher started it. Times in seconds since the world began."""

    at: float
    account: str
    model: str
    key: str
    urgency: Urgency
    lane: str
    size: Size  # as reserved
    tries: int  # before this one
    ended_at: float | None = None
    failure: Failure | None = None


@dataclass
class Practice(Stage):
    """The world while it goes, and afterwards (then without its store)."""

    sides: Mapping[str, Side]  # by account; several may be one
    submitted: dict[str, float]  # when, by key
    calls: list[Call] = field(default_factory=list)
    stop: Stop | None = None
    states: dict[str, State] = field(default_factory=dict)  # at the end, by key
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)  # the ledger, by key

    @property
    def side(self) -> Side:
        return next(iter(self.sides.values()))

    def books(self, account: str | None = None) -> dict[str, Any]:
        """As from ``GET /stats``: of the provider that has this account, else of the first."""
        side = self.side if account is None else self.sides[account]
        return side.provider.books.as_json(self.seconds)

    def change(self, changes: Mapping[str, Any], account: str | None = None) -> None:
        """As by ``POST /control``."""
        side = self.side if account is None else self.sides[account]
        side.options.change(changes)

    async def submit(self, tasks: Sequence[NewTask]) -> None:
        """More work, in the middle of it."""
        now = self.clock.now()
        await self.store.submit(self.run, [replace(one, due_at=max(one.due_at, now)) for one in tasks], now)
        self.submitted.update({one.key or "": now - EPOCH for one in tasks})
        self.dispatcher.poke()

    def waits(self, urgency: Urgency) -> list[float]:
        """From submit to the first call's start, of all tasks of that urgency that were started."""
        first = {call.key: call.at for call in reversed(self.calls) if call.urgency is urgency}
        return sorted(at - self.submitted[key] for key, at in first.items())

    def rate(self, since: float, until: float) -> float:
        """Answers a second in between."""
        good = [c for c in self.calls if c.failure is None and c.ended_at is not None and since <= c.ended_at < until]
        return len(good) / (until - since)


def account(
    name: str = "main", *, limits: Limits | None = None, provider: str = "openai", weight: float = 1.0, key: str = ""
) -> Account:
    """An account as the catalog makes it, with its name for a key."""
    preset = presets()[provider]
    return Account(
        name,
        provider,
        preset.wire,
        f"http://{name}/v1",
        key or name,
        limits=limits or Limits(),
        charges_max_tokens=preset.charges_max_tokens,
        responses=preset.responses,
        weight=weight,
    )


def prompt(
    key: str,
    urgency: Urgency = Urgency.STANDARD,
    lane: str = "general",
    model: str = "small",
    *,
    input_tokens: int = 100,
    max_tokens: int | None = None,
    expected: tuple[int, int] | None = None,
    wire: Wire = Wire.CHAT,
    due: float = 0.0,
    fallbacks: tuple[str, ...] = (),
    spec: Spec | None = None,
    **more: Any,
) -> NewTask:
    """A request that the simulator counts as so many input tokens; it answers with its own number of output tokens,
    or ``max_tokens`` if that is less. ``expected``: what we are told of its (input, output) tokens. ``due``: seconds
    since the world began."""
    text = key.ljust((input_tokens - FRAMING_TOKENS) * 4, ".")
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    told = expected or (input_tokens, max_tokens or Options().output_tokens)
    route = Route(lane, urgency, model, fallbacks=fallbacks)
    spec = spec or Spec("chat", wire)
    return NewTask(
        orjson.dumps(body), spec, route, EPOCH + due, key=key, input_tokens=told[0], output_tokens=told[1], **more
    )


def practise(
    tasks: Sequence[NewTask],
    then: Callable[[Practice], object] = lambda world: None,
    *,
    options: Options | Mapping[str, Options] | None = None,
    accounts: Sequence[Account] | None = None,
    models: Sequence[Model] | None = None,
    lanes: Mapping[str, int | None] | None = None,
    weights: Mapping[str, float] | None = None,
    max_cost: float | None = None,
    max_in_flight: int = 2000,
    network: float = NETWORK_S,
    changes: Mapping[float, Mapping[str, Any]] | None = None,
    outages: Sequence[tuple[float, float]] = (),
    arrivals: Sequence[tuple[float, NewTask]] = (),
    before: Callable[[Practice], Awaitable[None]] | None = None,
    meanwhile: Callable[[Practice], Awaitable[None]] | None = None,
    seed: int = 0,
) -> Practice:
    """Let the tasks be done, ``then`` look at it while the store is there; returns the world.

    ``options``: of the one provider that has all accounts (its limits are for each), or of a provider for each account.
    ``models``: by default each that a task names, on all accounts. ``changes`` of the options and ``outages`` (from,
    to) are in seconds since the beginning and befall all providers; for anything else there is ``meanwhile``. With
    ``arrivals`` the dispatcher works as a worker does, until all have ended; else as a file run does.
    """
    having = list(accounts or [account()])
    everything = [*tasks, *(task for _, task in arrivals)]
    if models is None:
        names = dict.fromkeys(name for task in everything for name in (task.route.model, *task.route.fallbacks))
        models = [Model(name, name, tuple(having), 1.0, 1.0) for name in names]
    by_name = {model.name: model for model in models}

    async def live(clock: Clock) -> Practice:
        sides = _sides(options or Options(), having, clock, random.Random(seed), network)
        calls: list[Call] = []
        async with staged(
            clock,
            PracticeClient(clock, sides),
            by_name,
            tasks,
            lanes=lanes,
            weights=weights,
            max_cost=max_cost,
            max_in_flight=max_in_flight,
            whole_store=bool(arrivals),
            watched=lambda execute: _traced(execute, clock, calls),
        ) as stage:
            world = Practice(**vars(stage), sides=sides, submitted={task.key or "": 0.0 for task in tasks}, calls=calls)
            if before:
                await before(world)
            events = [*_events(world, changes or {}, outages)]
            if meanwhile:
                events.append(meanwhile(world))
            others = [asyncio.ensure_future(event) for event in events]
            ending = asyncio.ensure_future(_arrive(world, arrivals)) if arrivals else None
            world.stop = await world.dispatcher.run()
            if ending:
                await ending
            for other in others:
                other.cancel()
            for error in await asyncio.gather(*others, return_exceptions=True):
                if isinstance(error, Exception):
                    raise error
            await _look_up(world)
            assert await world.store.check() == []
            outcome = then(world)
            if asyncio.iscoroutine(outcome):
                await outcome
            return world

    world: Practice = run_virtual(live)
    return world


def _sides(
    options: Options | Mapping[str, Options],
    accounts: Sequence[Account],
    clock: Clock,
    rng: random.Random,
    network: float,
) -> dict[str, Side]:
    if isinstance(options, Options):
        keys = options.key or tuple(account.name for account in accounts)
        one = Side(replace(options, key=keys), clock, rng, network)
        return {account.name: one for account in accounts}
    return {name: Side(replace(own, key=own.key or (name,)), clock, rng, network) for name, own in options.items()}


def _traced(execute: Execute, clock: Clock, calls: list[Call]) -> Execute:
    async def call(task: Claimed, admission: Admission | None) -> Reply:
        assert admission is not None
        at, tries = clock.now() - EPOCH, task.attempts + task.refusals
        size = admission.size
        traced = Call(at, task.account, task.model, task.key or "", task.urgency, task.lane, size, tries)
        calls.append(traced)
        try:
            reply = await execute(task, admission)
        finally:
            traced.ended_at = clock.now() - EPOCH
        traced.failure = reply.failure
        return reply

    return call


def _events(
    world: Practice, changes: Mapping[float, Mapping[str, Any]], outages: Sequence[tuple[float, float]]
) -> Sequence[Awaitable[None]]:
    async def change(at: float, options: Mapping[str, Any]) -> None:
        await asyncio.sleep(at)
        for side in _each(world.sides):
            side.options.change(options)

    async def outage(since: float, until: float) -> None:
        await asyncio.sleep(since)
        for side in _each(world.sides):
            side.unplug()
        await asyncio.sleep(until - since)
        for side in _each(world.sides):
            side.plug_in()

    return [change(at, options) for at, options in changes.items()] + [outage(*times) for times in outages]


def _each(sides: Mapping[str, Side]) -> list[Side]:
    return list(dict.fromkeys(sides.values()))


async def _arrive(world: Practice, arrivals: Sequence[tuple[float, NewTask]]) -> None:
    """Bring each at its time, and end the world when all is done."""
    together: defaultdict[float, list[NewTask]] = defaultdict(list)
    for at, task in arrivals:
        together[at].append(task)
    for at in sorted(together):
        await asyncio.sleep(max(0.0, at - world.seconds))
        await world.submit(together[at])
    while await _left(world):  # noqa: ASYNC110 - as anybody would wait who is not told
        await asyncio.sleep(NOTICED_AFTER_S)
    world.dispatcher.drain()


async def _left(world: Practice) -> int:
    return sum(n for cell in await world.store.tally() for state, n in cell.counts.items() if not state.ended)


async def _look_up(world: Practice) -> None:
    for task in await world.store.get_tasks(range(1, len(world.submitted) + 1)):
        world.states[task.key or ""] = task.state
        world.attempts[task.key or ""] = await world.store.attempts(task.id)
