"""A flow in memory: its function on a loop of its own, the children that it waits for, and what a step leaves."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from laneway.errors import LanewayError, TaskCancelled, TaskFailed, UsageError
from laneway.flows.current import CURRENT
from laneway.flows.loop import FlowFuture, new_loop
from laneway.store.flows import Ask, Child, Event, Heard, History, Suspension, WaitGroup
from laneway.task import Failure, FailureClass, NewTask, State, WaitReason

log = logging.getLogger(__name__)
Decode = Callable[[bytes], Any]  # from a task's output to what its caller gets


class Options(NamedTuple):
    """What a flow says of a child beyond its arguments. None: as for any task; urgency and deadline are the flow's."""

    lane: str | None = None
    urgency: str | None = None
    model: str | None = None
    deadline: float | None = None  # seconds since 1970
    tags: tuple[str, ...] = ()


PLAIN = Options()


class Prepare(Protocol):
    """Makes a task of a call, as a child of the flow."""

    def __call__(
        self, live: Live, task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options
    ) -> tuple[NewTask, Decode]: ...


class Result(FlowFuture):
    """A child's result, on its flow's loop. Cancelling it calls the child off."""


@dataclass(slots=True)
class Pending:
    """A child that the flow has not heard of yet."""

    result: Result
    decode: Decode
    label: str  # for people


class Live:
    """Driven by ``start`` and ``go_on``; each ends when the function waits, or has ended."""

    def __init__(self, id_: int, prepare: Prepare, history: History | None = None) -> None:
        """``history``: of one that has begun before."""
        history = history or History()
        self.id = id_
        self.loop = new_loop()
        self.step = -1
        self.fence = 0  # of the claim under which the last step was settled
        self.events = 0  # known so far
        self._random: random.Random | None = None
        self._prepare = prepare
        self._known = dict(history.children)  # and not called yet
        self._replayed = len(history.steps)
        self._pending: dict[str, Pending] = {}
        self._begun: list[Child] = []
        self._again: list[str] = []
        self._heard: list[str] = []
        self._waiters: defaultdict[str, deque[asyncio.Future[Any]]] = defaultdict(deque)
        self._said: defaultdict[str, deque[bytes]] = defaultdict(deque)
        self._main: asyncio.Task[Any] | None = None
        self.orphaned: list[str] = []  # to be said with the next step
        self._closed = False

    # driving ------------------------------------------------------------------------------------------------------
    def start(self, function: Callable[[], Coroutine[Any, Any, Any]], at: float, events: Sequence[Event] = ()) -> None:
        context = contextvars.copy_context()
        context.run(CURRENT.set, self)
        self.step, self.loop.now = 0, at
        self._take(events)
        self._main = self.loop.create_task(function(), path="", context=context)
        self.loop.run()

    def go_on(self, at: float, heard: Iterable[Heard], timers: Sequence[str], events: Sequence[Event]) -> None:
        """The next step, with what is there now. Children are told in the order in which they were begun."""
        self._forget()
        self.step += 1
        self.loop.now = max(at, self.loop.now)
        there = {one.name: one for one in heard if one.name in self._pending}
        for name in [name for name in self._pending if name in there]:
            self._tell(there[name])
        for name in timers:
            self.loop.fire(name)
        self._heard = [*there, *timers]
        self._take(events)
        self.loop.run()

    def replay(self, history: History, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """All that was recorded, once more. Nothing that was answered is asked again."""
        first, *others = history.steps
        self.start(function, first.at, history.events[: first.events])
        for step in others:
            children = [history.children[name] for name in step.heard if name in history.children]
            timers = [name for name in step.heard if name not in history.children]
            self.go_on(step.at, children, timers, history.events[self.events : step.events])

    @property
    def replaying(self) -> bool:
        """Whether its code only does again what it did before."""
        return self.step < self._replayed

    def ask(self) -> Ask:
        """What there may be to hear."""
        return Ask(self.id, list(self._pending), self.events)

    @property
    def random(self) -> random.Random:
        """The same numbers on every replay."""
        if self._random is None:
            self._random = random.Random(self.id)
        return self._random

    def orphans(self) -> list[str]:
        """Recorded children that the function did not call again: it has changed meanwhile. After ``replay``."""
        return list(self._known) if self._replayed else []

    def strangers(self) -> list[str]:
        """Children that the function called of which the record knows nothing. After ``replay``."""
        return [child.name for child in self._begun]

    def close(self) -> None:
        """Leave it: it goes on elsewhere, or not at all."""
        self._closed = True
        self.loop.drop()
        self._main = None  # its context holds this flow: without a circle, it goes at once
        self._pending.clear()

    def _forget(self) -> None:
        for name in [name for name, one in self._pending.items() if one.result.cancelled()]:
            del self._pending[name]

    # what the function does ---------------------------------------------------------------------------------------
    def begin(self, task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options = PLAIN) -> Result:
        """A child, begun at once; its result is there when it has ended."""
        if self._closed:
            raise UsageError("this flow is not carried out here any more")
        new, decode = self._prepare(self, task, args, kwargs, options)
        name = self.loop.unique(f"{new.spec.type}({new.hash.hex()[:12]})")
        result = Result(loop=self.loop)
        self._pending[name] = Pending(result, decode, new.spec.type)
        known = self._known.pop(name, None)
        if known is None:
            self._begun.append(Child(name, new))
        elif not self._replayed and known.state in (State.FAILED, State.CANCELLED):
            self._again.append(name)
        return result

    def wait_event(self, name: str) -> asyncio.Future[Any]:
        """The next event of this name: JSON text."""
        waiter = self.loop.create_future()
        if self._said[name]:
            waiter.set_result(self._said[name].popleft())
        else:
            self._waiters[name].append(waiter)
        return waiter

    def _take(self, events: Sequence[Event]) -> None:
        self.events += len(events)
        for event in events:
            waiters = self._waiters[event.name]
            while waiters and waiters[0].done():  # given up
                waiters.popleft()
            if waiters:
                waiters.popleft().set_result(event.content)
            else:
                self._said[event.name].append(event.content)

    def _tell(self, child: Heard) -> None:
        one = self._pending.pop(child.name)
        if one.result.done():  # called off meanwhile
            return
        try:
            one.result.set_result(one.decode(_output(one.label, child)))
        except LanewayError as error:
            _fail(one.result, error)
        except Exception as error:  # noqa: BLE001 - whatever the reading of results has to say
            what = f"{one.label} (task {child.task_id}): its result is not what was asked for: {error}"
            _fail(one.result, TaskFailed(what, failure=Failure(FailureClass.OUTPUT, type(error).__name__, what)))

    # what a step leaves -------------------------------------------------------------------------------------------
    @property
    def ended(self) -> bool:
        """The function has returned and nothing that it began is under way; or it has failed."""
        if self._main is None or not self._main.done():
            return False
        return self._main.cancelled() or self._main.exception() is not None or not self._under_way()

    @property
    def returned(self) -> bool:
        """Whether the function has ended."""
        return self._main is not None and self._main.done()

    def value(self) -> Any:
        """What it returned; raises what it raised."""
        assert self._main is not None
        return self._main.result()

    def left(self, wake_at: float | None = None) -> Suspension:
        """To be settled. ``wake_at``: be woken then in any case."""
        left = Suspension(self.step, self.loop.now, self._heard, self.events)
        left.called_off = [name for name, one in self._pending.items() if one.result.cancelled()]
        if self.ended:
            left.ended = True
            return left
        left.begun, self._begun = self._begun, []
        left.again, self._again = self._again, []
        left.waits_for = self._groups()
        times = [time for time in (self.loop.next_timer, wake_at) if time is not None]
        left.wake_at = min(times, default=None)
        if not left.waits_for:
            listens = any(not waiter.done() for waiters in self._waiters.values() for waiter in waiters)
            left.reason = WaitReason.EVENT if listens else WaitReason.SCHEDULED
            if not listens and self.loop.next_timer is None:
                raise UsageError(
                    "the flow waits for something that will never happen",
                    hint="it waits for no task, event or time: is there a lock, queue or event that nobody serves?",
                )
        return left

    def _under_way(self) -> list[str]:
        return [name for name, one in self._pending.items() if not one.result.cancelled()]

    def _groups(self) -> list[WaitGroup]:
        """What is worth waking for: of an ``asyncio.gather``, when all have ended or one has failed; else each child
        that somebody waits for. What cannot be seen through wakes the flow too often, never too late."""
        assert self._main is not None
        open_ = {one.result: name for name, one in self._pending.items() if not one.result.done()}
        if self._main.done():
            return [WaitGroup(tuple(open_.values()), len(open_))]
        groups: list[WaitGroup] = []
        for task in self.loop.tasks:
            waited = _gathered(getattr(task, "_fut_waiter", None))
            names = tuple(name for result in waited if (name := open_.pop(result, None)))
            if names:
                groups.append(WaitGroup(names, len(names), eager=True))
        groups += [WaitGroup((name,), 1) for result, name in open_.items() if result._callbacks]
        return groups


def _fail(result: Result, error: BaseException) -> None:
    result.set_exception(error)
    result._log_traceback = False  # nobody has to ask


def _gathered(waited: Any) -> Iterable[Any]:
    """The futures that an ``asyncio.gather`` waits for, or the one that is waited for."""
    children = getattr(waited, "_children", None)
    if children is None:
        return (waited,) if isinstance(waited, Result) else ()
    return [one for child in children for one in _gathered(child)]


def _output(label: str, child: Heard) -> bytes:
    """Raises TaskFailed, TaskCancelled."""
    if child.state is State.SUCCEEDED:
        if child.output is None:
            raise TaskFailed(f"{label} (task {child.task_id}): its result was pruned from the store")
        return child.output
    if child.state is State.CANCELLED:
        raise TaskCancelled(f"{label} (task {child.task_id}) was cancelled")
    error = child.error or {}
    message = error.get("message", "")
    failure = Failure(FailureClass(error.get("class", "code")), error.get("code", ""), message, error.get("status"))
    hint = f"`laneway explain {child.task_id}` shows every attempt"
    raise TaskFailed(f"{label} (task {child.task_id}) failed: {message}", hint=hint, failure=failure)
