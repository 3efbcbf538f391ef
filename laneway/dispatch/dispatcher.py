"""The main loop: look at the queue, ask the accounts, claim exactly what was admitted, call, settle."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf

from laneway.clock import Clock
from laneway.dispatch.at_once import AtOnce
from laneway.dispatch.bars import Bars
from laneway.dispatch.budgets import Budgets
from laneway.dispatch.callers import Callers
from laneway.dispatch.claiming import Claiming
from laneway.dispatch.depths import PEEK_DEPTH, Depths
from laneway.dispatch.desk import Admission, Blocked
from laneway.dispatch.desks import Desks
from laneway.dispatch.detours import Detours
from laneway.dispatch.docket import Case, Docket
from laneway.dispatch.ending import Ending, Scope, Stop, StopReason
from laneway.dispatch.flights import Flight, Flights
from laneway.dispatch.limits import Size
from laneway.dispatch.live_limits import SetLimits
from laneway.dispatch.order import Order, Plan
from laneway.dispatch.outcomes import Outcomes
from laneway.dispatch.own_code import OwnCode
from laneway.dispatch.retry import called_off
from laneway.dispatch.settler import PATIENCE_S, Batch, Settler
from laneway.dispatch.tallying import Tallies
from laneway.dispatch.waking import Waking
from laneway.dispatch.watch import Watch, binding
from laneway.errors import StoreError
from laneway.logs import ABOUT
from laneway.providers.model import Reply
from laneway.store.budgets import NO_LIMITS, Limits
from laneway.store.cells import Head
from laneway.store.interface import Store
from laneway.store.news import News, listen
from laneway.task import (
    Claimed,
    Failure,
    NewTask,
    State,
    Urgency,
    Wire,
    is_flow,
    needs_account,
)

MAX_IN_FLIGHT = 2000
PEEK_CELLS = 16  # that are looked at of each model, lane and urgency, if there are so many runs
OPEN_FLOWS = 1000
MOST_STARTS = 256  # in one round: an urgent task that comes in the meantime would have to wait for its end
LONGEST_PAUSE_S = 2.0  # between two tries of a worker whose store is away
POLL_S = 0.02  # how soon work that another process brought is seen

log = logging.getLogger(__name__)
Execute = Callable[[Claimed, Admission | None], Awaitable[Reply]]


class Dispatcher:
    """One worker's loop. ``run()`` returns when the scope's work is done or cannot go on; ``drain()`` ends it early."""

    def __init__(
        self,
        store: Store,
        worker: str,
        clock: Clock,
        desks: Desks,
        executors: Mapping[Wire, Execute],
        *,
        scope: Scope | None = None,
        announce: Callable[[Batch], None] | None = None,
        weights: Mapping[str, float] | None = None,
        rise_before: Mapping[Urgency, float] | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        rng: random.Random | None = None,
        words: Callable[[Failure], Failure] | None = None,
        has_app: Callable[[], bool] = lambda: True,
        limits: Limits = NO_LIMITS,
        open_flows: int = OPEN_FLOWS,
    ) -> None:
        """``words``: what is kept and shown of a failure; the model that is asked again hears all of it. ``has_app``:
        whether there are functions here by now; without any, Python tasks are left to other workers. ``limits``: the
        budgets a day. ``open_flows``: how many may have begun and not ended, in the whole fleet; nested ones are never
        held."""
        self.store = store
        self.worker = worker
        self.clock = clock
        self.desks = desks
        self.limits = limits
        self.watch = Watch()
        self.tallies = Tallies()
        self._executors = executors
        self._scope = scope or Scope()
        self._announce = announce
        self._order = Order(weights, desks.place, rise_before)
        self._depths = Depths(MOST_STARTS)
        self.max_in_flight = max_in_flight
        self._set_limits = SetLimits(store, desks, self._order, weights or {})
        self._own_code = OwnCode(store, has_app, open_flows)
        self._budgets = Budgets(limits)
        self._bars = Bars(store, clock, desks, self._budgets)
        patience = PATIENCE_S if self._scope.run_id is not None else inf
        self._settler = Settler(store, worker, clock, self._settled, patience)
        self._flights = Flights(max_in_flight)
        self.calling = 0  # calls of running tasks that are under way
        desks.work.in_flight = self._flights.flown
        self._docket = Docket()
        self._detours = Detours(store, desks)
        self.outcomes = Outcomes(
            desks,
            self._budgets,
            self._detours,
            self._settler,
            rng or random.Random(),
            words,
            tells_pauses=self._scope.run_id is None,
        )
        self._wake = asyncio.Event()
        self._callers = Callers(desks, self._wake.set)
        self._claiming = Claiming(
            store, worker, clock, desks, self._budgets, self._settler, self._detours, self._start, self._wake.set
        )
        lanes = self._scope.lanes
        self._at_once = AtOnce(clock, desks, self._bars, self._flights, self._claiming, lanes, self._wake.set)
        self._ending = Ending(store, desks, self._scope, self._budgets)
        self._clear = False  # at the last look nothing waited that could not be started
        self._stop: Stop | None = None
        self._failures = 0  # of the store, in a row
        self._waking = Waking(store)

    # what others may do -------------------------------------------------------------------------------------------
    def poke(self) -> None:
        """Something changed: look at the queue now rather than at the next poll."""
        self._wake.set()

    def drain(self, stop: Stop | None = None) -> None:
        """Start nothing more; ``run()`` returns when what is in flight has ended."""
        if self._stop is None:
            self._stop = stop or Stop(StopReason.INTERRUPTED, "interrupted")
            self._settler.hurry()
        self._wake.set()

    def abort(self) -> None:
        """Break off what is in flight. Those tasks go back to the queue, their attempts are lost."""
        self.drain()
        for flight in self._flights:
            if flight.call is not None:
                flight.call.cancel()

    def call_off(self, task_id: int) -> None:
        """Nobody wants this task's answer any more: break its call off, if it is being made here. It ends as
        cancelled; what the call cost is unknown."""
        flight = self._flights.get(task_id)
        if flight is not None and flight.call is not None:
            flight.called_off = True
            asyncio.get_running_loop().call_soon(flight.call.cancel)  # not before it has begun, or it would never end

    def claim_at_once(self, run_id: int, task: NewTask) -> bool:
        """Have a task claimed in the commit of its submission, if nothing waits before it and its account admits it.
        Call this after ``store.submit``, before that is awaited, on this worker's loop. False: it will be found."""
        return self._clear and self._stop is None and self.store.in_order and self._at_once.claim(run_id, task)

    async def admission(self, model: str, input_tokens: int, output_tokens: int, task: Claimed) -> Admission:
        """Wait until a call that a running task makes itself may start."""
        return await self._callers.admission(model, input_tokens, output_tokens, task)

    def budget_used_up(self, task: Claimed) -> None:
        """The budget of the task's run has nothing left for a call that it wants to make."""
        if self._scope.run_id is None or self._scope.budget:
            self._callers.used_up(task.run_id)

    def budget_freed(self) -> None:
        """A call has ended, and is in the books."""
        self._callers.freed()
        self._wake.set()

    @property
    def draining(self) -> bool:
        """Whether it starts nothing more."""
        return self._stop is not None

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    def in_flight_by_lane(self) -> Mapping[str, int]:
        return self._flights.by_lane

    # the loop -----------------------------------------------------------------------------------------------------
    async def run(self) -> Stop:
        forget = listen(self.store, News.WORK, self._wake.set)
        try:
            return await self._rounds()
        finally:
            forget()

    async def _rounds(self) -> Stop:
        while True:
            self._wake.clear()
            try:
                wait_until = await self._round()
                self._failures = 0
            except StoreError as error:
                wait_until = await self._without_store(error)
                self._settler.begin()  # answers are paid: none of them waits for those that are in flight
            if self._settler.failed is not None:
                self.drain(Stop(StopReason.STORE, self._settler.failed.message))
            if self._stop is not None and self._flights.over:
                self.outcomes.conclude(self._docket.close())
                await self._settler.drained()
                if self._settler.failed is not None:
                    return Stop(StopReason.STORE, self._settler.failed.message)
                return self._stop
            await self._sleep(_earliest(wait_until, self._docket.next_at(self.clock.now())))

    async def _without_store(self, error: StoreError) -> float | None:
        """A file run ends, the same command goes on. A worker waits for the store; calls in flight go on to their end,
        and their answers are kept until they can be written."""
        if self._scope.run_id is not None or self._stop is not None:
            self.drain(Stop(StopReason.STORE, error.message))
            return None
        if not self._failures:
            log.warning("%s; this worker goes on when the store does", error.message)
        self._failures += 1
        await asyncio.sleep(min(LONGEST_PAUSE_S, POLL_S * 2**self._failures))
        return self.clock.now()

    async def _round(self) -> float | None:
        """One look at the queue. Returns when to look again at the latest (None: when something happens)."""
        await self._bars.look()
        await self._set_limits.obey(self.clock.now())
        self.outcomes.conclude(self._docket.close() if self._stop else self._docket.judged(self.clock.now()))
        self.desks.new_round()
        now = self.clock.now()
        free = self._flights.free if self._stop is None else 0
        wake_at = await self._waking.wake(now) if free > 0 else None
        heads = await self._heads(now) if free > 0 else []
        held: list[Head] = []
        going: list[Head] = []
        for head in heads:
            (held if self._bars.paused(head) else going).append(head)
        if free > 0:
            self.desks.work.heads = [head for head in going if not is_flow(head.model)] + self._callers.seen
            await self._own_code.look(going)
        await self.desks.prepare({(head.model, head.lane) for head in heads} | self._callers.places(), now)
        shown = [*held, *await self._detours.shown(going, self.clock.now())] if free > 0 else []
        now = self.clock.now()
        plan = self._plan(shown, free, now)
        self._settler.begin()
        if free <= 0:
            self._clear = False
            if self._stop is None:
                self.watch.blocked("concurrency", now)
            return plan.wait_until
        self._detours.planned(plan, now)
        planned, given = bool(plan.picks), {cell_id: len(picks) for cell_id, picks in plan.picks.items()}
        started = await self._claim(plan, heads, now) if planned else 0
        self.watch.blocked(binding(heads, plan), now)
        self._clear = sum(head.ready for head in heads) == plan.size and not plan.calls_blocked and plan.cut is None
        raced = planned and not plan.picks  # others were quicker
        if not started and not self._flights:
            self.outcomes.conclude(self._docket.judged(now, idle=True))
        calls = self._held_up(plan)
        if not started and not raced and calls is not None and not self._docket and not self._settler.pending:
            stop = await self._ending.consider(shown, plan, now, calls, undecided=self._detours.undecided(going))
            if stop is not None:
                self.drain(stop)
        if planned and started == 0:
            return now + POLL_S
        self._depths.learn({head.cell_id: given.get(head.cell_id) for head in heads}, plan.cut)
        if plan.cut is not None or plan.size == MOST_STARTS:
            self._wake.set()
        return _earliest(wake_at, plan.wait_until, self._detours.again_at)

    def _held_up(self, plan: Plan) -> list[Blocked] | None:
        """None while something runs that goes on by itself; else what holds the calls of the tasks that run."""
        if len(self._flights) <= sum(desk.breaker.probing for desk in self.desks):  # those may hang
            return []
        if self.calling or self._flights.python < len(self._flights):
            return None
        return self._callers.held_up(plan, [flight.task.id for flight in self._flights])

    async def _heads(self, now: float) -> list[Head]:
        most = None if self._bars.of_single_runs else PEEK_CELLS  # those cells may stand first
        scope = self._scope
        heads = await self.store.peek(now, depth=PEEK_DEPTH, run_id=scope.run_id, deeper=self._depths.deeper, most=most)
        return heads if scope.lanes is None else [head for head in heads if head.lane in scope.lanes]

    def _plan(self, heads: list[Head], free: int, now: float) -> Plan:
        """Ask the accounts, for tasks and for the calls that running ones want to make; these are let go here."""
        held = {head.cell_id: blocked for head in heads if (blocked := self._bars.of(head, now))}
        going = [head for head in heads if head.cell_id not in held]
        self._own_code.begin_round(self._flights.python)
        slots, calls, size = min(free, MOST_STARTS), self._callers.heads(self._budgets), self.desks.calibration.size
        plan = self._order.plan(going, slots, self._lane_slots, self._admit, size, now, calls, PEEK_CELLS)
        plan.blocked.update(held)
        self._callers.take(plan, stopping=self._stop is not None)
        return plan

    async def _claim(self, plan: Plan, heads: list[Head], now: float) -> int:
        claimed = await self._claiming.claim(plan, now)
        if self._scope.run_id is None or self._flights:  # else a run's empty claim may be its end
            asked = [head for head in heads if head.cell_id in plan.picks]
            self._bars.gave({task.cell_id for task in claimed}, asked, now)
        return len(claimed)

    def _start(self, task: Claimed, admission: Admission | None, loop: asyncio.AbstractEventLoop) -> None:
        flight = Flight(task, admission)
        self._flights.add(flight)
        if admission is not None:
            self._at_once.saw(task)
            self.desks.calibration.began(task.model, task.spec.type)
        flight.call = loop.create_task(self._perform(flight))

    async def _perform(self, flight: Flight) -> None:
        task, admission = flight.task, flight.admission
        ABOUT.set({"task": task.id, "run": task.run_id, "account": task.account})  # in a context of the flight's own
        try:
            reply = await self._executors[task.spec.wire](task, admission)
            seen = self.outcomes.to_be_kept(reply)
            now = self.clock.now()
            doubt = None
            if admission is not None and not reply.heard:
                (admission.desk.abort if reply.latency else admission.desk.release)(admission, now)
            elif admission is not None:
                doubt = self.outcomes.learn(admission, seen, now, task)
                self.desks.learn(admission, task.model, task.spec, task.tokens, reply)
            if admission is None or doubt is None or reply.told:
                self.outcomes.settle(task, reply, now)
            else:
                self._docket.add(Case(task, admission.desk, reply, doubt, now))
        except asyncio.CancelledError:
            if admission is not None:
                admission.desk.abort(admission, self.clock.now())
            if flight.called_off:
                self.outcomes.add(task, called_off(task, self.clock.now()))
        except Exception:
            # A fault of ours, not of the task: it must neither be lost nor run again and again.
            log.exception("task %d: internal error", task.id)
            self.drain(Stop(StopReason.STORE, f"internal error in task {task.id}; see the log"))
            if admission is not None:
                admission.desk.abort(admission, self.clock.now())
        finally:
            self._flights.remove(flight)
            if admission is not None:
                self.desks.calibration.ended(task.model, task.spec.type)
            self._wake.set()

    def _settled(self, batch: Batch, accepted: Sequence[bool]) -> None:
        self._wake.set()
        self._callers.freed()
        self._bars.freed(task.cell_id for task, _ in batch)
        if any(settlement.state is State.WAITING for _, settlement in batch):
            self._waking.made_wait()
        written = [one for one, is_accepted in zip(batch, accepted, strict=True) if is_accepted]
        self.tallies.add(written)
        if self._announce is not None:
            self._announce(written)

    async def _sleep(self, until: float | None) -> None:
        now = self.clock.now()
        alone = self._scope.run_id is not None and not self._scope.shared
        latest = now + (0.25 if alone else max(POLL_S, self.store.poll_s))
        until = latest if until is None else min(until, latest)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(max(0.0, until - now), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    # asking -------------------------------------------------------------------------------------------------------
    def _admit(self, model: str, size: Size, now: float) -> Admission | Blocked | None:
        if not needs_account(model):
            return self._own_code.admit(model, leased=now < self.desks.lease_until())
        return self.desks.admit(model, size, now)

    def _lane_slots(self, lane: str) -> int | None:
        slots = self.desks.lane_slots(lane)
        return None if slots is None else slots - self._flights.in_lane(lane)


def _earliest(*times: float | None) -> float | None:
    known = [time for time in times if time is not None]
    return min(known) if known else None
