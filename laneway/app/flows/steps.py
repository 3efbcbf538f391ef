"""Carrying out claimed flows, a step at a time: from where they stand in memory, or by replay."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from laneway.app.flows.children import Children
from laneway.app.python.tasks import TaskFunction, to_json
from laneway.dispatch.retry import code_failure
from laneway.dispatch.time_limit import left_s, out_of_time
from laneway.flows.live import Live
from laneway.providers.model import Reply
from laneway.store.flows import Arrived, Ask, History, Suspension
from laneway.task import Claimed

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.interface import Store

T = TypeVar("T")

log = logging.getLogger(__name__)


class Steps:
    """Executes flows while a worker runs."""

    def __init__(self, lw: Laneway) -> None:
        self._lw = lw
        self._store = lw.store
        self._hearing = Hearing(lw.store)
        self._live: OrderedDict[int, Live] = OrderedDict()  # waiting, the longest first

    async def __call__(self, task: Claimed, function: TaskFunction[..., Any]) -> Reply:
        started = time.perf_counter()
        reply = await self._step(task, function)
        reply.latency = time.perf_counter() - started
        if reply.failure is not None and reply.flow is None:
            reply.flow = Suspension(0, task.claimed_at, ended=True)
        return reply

    async def _step(self, task: Claimed, function: TaskFunction[..., Any]) -> Reply:
        live = self._at_hand(task)
        if left_s(task, task.claimed_at) <= 0:
            return out_of_time(task, task.claimed_at, called=False)
        try:
            if live is None:
                live = await self._from_the_start(task, function)
            else:
                there = await self._hearing.ask(live.ask())
                timers = live.loop.due(task.claimed_at)
                await _apart(lambda: live.go_on(task.claimed_at, there.children, timers, there.events))
            limit = task.spec.time_limit
            left = live.left(None if limit is None else task.begun_at + limit)
            left.orphans, live.orphaned = live.orphaned, []
            if not left.ended:
                live.fence = task.fence
                self._keep(live)
                return Reply(None, None, None, 0.0, flow=left)
            value = live.value()
            live.close()
            return Reply(b"null" if value is None else to_json(value, function.name), None, None, 0.0, flow=left)
        except asyncio.CancelledError as error:
            if live is None or not live.returned:
                raise  # this worker breaks off
            return code_failure(error)
        except Exception as error:
            log.info("flow %d (%s) raised", task.id, task.spec.type, exc_info=True)
            return code_failure(error)

    def _at_hand(self, task: Claimed) -> Live | None:
        """The flow as it was left here, if nobody else has gone on with it since."""
        live = self._live.pop(task.id, None)
        if live is not None and live.fence + 1 != task.fence:
            live.close()
            return None
        return live

    async def _from_the_start(self, task: Claimed, function: TaskFunction[..., Any]) -> Live:
        history = History() if task.fence == 1 else await self._store.history(task.id)
        live = Live(task.id, Children(self._lw, task), history)
        call = function.bind(task.body)

        def begin() -> None:
            if not history.steps:
                live.start(call, task.claimed_at, history.events)
                return
            live.replay(history, call)
            _report(live, task)
            heard = [child for child in history.children.values() if child.state.ended]
            live.go_on(task.claimed_at, heard, live.loop.due(task.claimed_at), history.events[live.events :])

        await _apart(begin)
        return live

    def _keep(self, live: Live) -> None:
        """In memory while it waits; the one that has waited longest goes when there are too many."""
        self._live[live.id] = live
        while len(self._live) > self._lw.config.flows.in_memory:
            self._live.popitem(last=False)[1].close()

    def close(self) -> None:
        for live in self._live.values():
            live.close()
        self._live.clear()


def _report(live: Live, task: Claimed) -> None:
    """A function that does something else than the record says has changed since the flow began."""
    live.orphaned, strangers = live.orphans(), live.strangers()
    if live.orphaned or strangers:
        log.warning(
            "flow %d (%s) does not do again what it did before; has its function changed? What it began and does not"
            " any more: %s. New: %s. Finished children are kept, those not wanted any more are called off",
            task.id,
            task.spec.type,
            ", ".join(live.orphaned[:10]) or "nothing",
            ", ".join(strangers[:10]) or "nothing",
        )


class Hearing:
    """Asks the store for what there is for all flows that go on at the same moment, together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking: list[tuple[Ask, asyncio.Future[Arrived]]] = []
        self._asked: set[asyncio.Task[None]] = set()

    async def ask(self, ask: Ask) -> Arrived:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Arrived] = loop.create_future()
        self._asking.append((ask, answer))
        if len(self._asking) == 1:
            loop.call_soon(self._send)
        return await answer

    def _send(self) -> None:
        asking, self._asking = self._asking, []
        task = asyncio.get_running_loop().create_task(self._deliver(asking))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _deliver(self, asking: list[tuple[Ask, asyncio.Future[Arrived]]]) -> None:
        try:
            found = await self._store.arrived([ask for ask, _ in asking])
        except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
            for _, answer in asking:
                if not answer.done():
                    answer.set_exception(error)
            return
        for ask, answer in asking:
            if not answer.done():
                answer.set_result(found[ask.flow_id])


async def _apart(work: Callable[[], T]) -> T:
    """On this loop, but in no task of it: a flow has tasks of its own, and a thread knows one running task only."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for the work
            done.set_exception(error)

    loop.call_soon(run, context=contextvars.Context())
    return await done
