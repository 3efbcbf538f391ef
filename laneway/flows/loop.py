"""The event loop that a flow's function runs on: the flow's own time, nothing else from outside, always the same order.

It is driven step by step: ``run()`` goes on until nothing is ready any more. What made the flow wait is then settled by
futures of this loop and by timers, which fire when they are told to; so the same function, told the same, does the
same. asyncio's own tools (``gather``, ``TaskGroup``, ``timeout``, ``sleep``, locks, queues) work on it as they are.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any, NoReturn, TypeVarTuple, Unpack

from laneway.errors import UsageError

Ts = TypeVarTuple("Ts")
NAMING: ContextVar[FlowTask | None] = ContextVar("laneway_naming", default=None)
MOST_CALLBACKS = 1_000_000  # in one step: a flow that does more than that waits for nothing that will come


class Timer(asyncio.TimerHandle):
    """``name``: the same on every replay."""

    name = ""


class FlowFuture(asyncio.Future[Any]):
    """``number``: by which it is hashed, so that sets of them (of ``asyncio.wait``) have the same order on every
    replay."""

    def __init__(self, *, loop: FlowLoop) -> None:
        self.number = loop.next_number()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class FlowTask(asyncio.Task[Any]):
    """An asyncio task of a flow, with its place in the tree of them: ``"0.2."`` is the third task that the first task
    made of the flow's own function. The tree is the same on every replay."""

    def __init__(self, coro: Any, *, path: str, loop: FlowLoop, **more: Any) -> None:
        self.number = loop.next_number()
        self.path = path
        self.tasks = 0  # made in it
        self.names: Counter[str] = Counter()
        super().__init__(coro, loop=loop, **more)

    def __hash__(self) -> int:
        return self.number

    def unique(self, name: str) -> str:
        """A name for what is begun in this task: the how-manieth of its kind it is."""
        number = self.names[name]
        self.names[name] += 1
        return f"{self.path}{name}#{number}"


class FlowLoop(asyncio.AbstractEventLoop):
    def __init__(self) -> None:
        self.now = 0.0  # seconds since 1970, as the flow sees it
        self.timers: dict[str, Timer] = {}  # that have neither fired nor been cancelled
        self.tasks: set[FlowTask] = set()  # that have not ended
        self.faults: list[BaseException] = []  # that nobody waited for
        self._ready: deque[asyncio.Handle] = deque()
        self._numbers = 0
        self._root = 0  # tasks that were made outside of any

    # driving ------------------------------------------------------------------------------------------------------
    def run(self) -> None:
        """Until nothing is ready. Must not be called from within a task of another loop (from 3.14 on, a thread knows
        one running task only)."""
        left = MOST_CALLBACKS
        outer = asyncio._get_running_loop()
        hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(None, None)
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
                left -= 1
                if not left:
                    raise UsageError(
                        "the flow does not come to a point where it waits for something",
                        hint="wait for a task, an event or a time in its loops: await flow.sleep(60)",
                    )
        finally:
            asyncio._set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)

    def fire(self, name: str) -> None:
        if timer := self.timers.pop(name, None):
            self._ready.append(timer)

    def due(self, now: float) -> list[str]:
        """Names of the timers whose time has come, the earliest first."""
        found = [
            (timer.when(), at, name) for at, (name, timer) in enumerate(self.timers.items()) if timer.when() <= now
        ]
        return [name for _, _, name in sorted(found)]

    @property
    def next_timer(self) -> float | None:
        return min((timer.when() for timer in self.timers.values()), default=None)

    def drop(self) -> None:
        """Let go of tasks that will not go on here."""
        for task in list(self.tasks):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._ready.clear()
        self.tasks.clear()

    @property
    def current(self) -> FlowTask | None:
        task = asyncio.current_task(self)
        assert task is None or isinstance(task, FlowTask)
        return task

    def unique(self, name: str) -> str:
        """A name for what is begun now."""
        if (task := NAMING.get() or self.current) is not None:
            return task.unique(name)
        self._root += 1
        return f"~{self._root}.{name}"

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    @contextmanager
    def own_names(self) -> Generator[None]:
        """What is begun in here is named as if this task began it itself, not the tasks that a library makes for its
        own purposes: another version of it makes others."""
        token = NAMING.set(self.current)
        try:
            yield
        finally:
            NAMING.reset(token)

    # what asyncio asks of a loop ----------------------------------------------------------------------------------
    def time(self) -> float:
        return self.now

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = Timer(when, callback, args, self, context)
        timer.name = self.unique("timer")
        self.timers[timer.name] = timer
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        assert isinstance(handle, Timer)
        self.timers.pop(handle.name, None)

    def create_future(self) -> FlowFuture:
        return FlowFuture(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        *,
        path: str | None = None,
        **more: Any,  # name, context; eager_start from 3.14 on
    ) -> FlowTask:
        if asyncio.isfuture(coro):  # a child, which is begun already: ``group.create_task(task(1))``
            coro = _awaited(coro)
        if path is None:
            if (maker := self.current) is not None:
                path = f"{maker.path}{maker.tasks}."
                maker.tasks += 1
            else:
                path = f"~{self._root}."
                self._root += 1
        task = FlowTask(coro, path=path, loop=self, **more)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if isinstance(fault := context.get("exception"), BaseException):
            self.faults.append(fault)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def get_exception_handler(self) -> None:
        return None

    def get_task_factory(self) -> None:
        return None

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return False

    async def shutdown_asyncgens(self) -> None:
        return None


async def _awaited(future: asyncio.Future[Any]) -> Any:
    return await future


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise UsageError(
        "a flow cannot use the network, files or threads itself: after a crash it runs again and would do it twice",
        hint="do it in a function decorated with @lw.task, and call that in the flow",
    )


def new_loop() -> FlowLoop:
    return FlowLoop()  # type: ignore[abstract]  # the verbs that it lacks are set below


for verb in vars(asyncio.AbstractEventLoop):
    if not verb.startswith("_") and verb not in vars(FlowLoop):
        setattr(FlowLoop, verb, _refuse)
