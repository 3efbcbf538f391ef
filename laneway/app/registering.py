"""The part of the Python API by which an app's functions become tasks, flows, rules and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, TypeVar, overload

from laneway.app.options import seconds
from laneway.app.python.callbacks import CallbackFunction, Callbacks
from laneway.app.python.tasks import PythonTasks, TaskFunction
from laneway.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")


class Registering:
    """Of ``Laneway``."""

    python: PythonTasks
    callbacks: Callbacks
    rules: dict[str, Callable[..., Any]]

    @overload
    def task(self, function: Callable[P, R]) -> TaskFunction[P, R]: ...

    @overload
    def task(
        self,
        *,
        name: str | None = None,
        lane: str | None = None,
        urgency: str | None = None,
        max_attempts: int | None = None,
        timeout: float | None = None,
        time_limit: float | str | None = None,
        dedupe_for: float | str | None = None,
    ) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...

    def task(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        lane: str | None = None,
        urgency: str | None = None,
        max_attempts: int | None = None,
        timeout: float | None = None,
        time_limit: float | str | None = None,
        dedupe_for: float | str | None = None,
    ) -> Any:
        """Make a function a task: ``@lw.task`` or ``@lw.task(lane="legal")``. Async functions run on the loop, sync
        ones in threads. ``timeout`` in seconds, for one try; ``time_limit`` (seconds, or ``"10m"``) from the first
        try's start over all of them. Arguments and result travel as JSON, typed by the annotations.
        ``dedupe_for`` (seconds, or ``"1h"``): the same key and arguments within that time are the earlier task, in
        whichever run, unless it failed; after it the key is free again."""
        within = None if dedupe_for is None else seconds(dedupe_for)
        limit = None if time_limit is None else seconds(time_limit)
        if limit is not None and not limit > 0:
            raise UsageError("time_limit=0 leaves a task no time", hint='write "10m", or leave it out for no limit')

        def decorate(function: Callable[..., Any]) -> TaskFunction[..., Any]:
            own = name or function.__name__
            made = TaskFunction(own, function, lane, urgency, max_attempts, timeout, within, limit)
            self.python.register(made)
            return made

        return decorate if function is None else decorate(function)

    @overload
    def flow(self, function: Callable[P, R]) -> TaskFunction[P, R]: ...

    @overload
    def flow(
        self,
        *,
        name: str | None = None,
        lane: str | None = None,
        urgency: str | None = None,
        time_limit: float | str | None = None,
        dedupe_for: float | str | None = None,
    ) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...

    def flow(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        lane: str | None = None,
        urgency: str | None = None,
        time_limit: float | str | None = None,
        dedupe_for: float | str | None = None,
    ) -> Any:
        """Make an async function a flow: tasks and flows that are called in it run as its children, and after a crash
        it goes on where it was, without paying for what is done. It is submitted like a task. It must not do anything
        itself that reaches outside: it may run again. ``time_limit`` (seconds, or ``"10m"``) from its start, waits and
        children included; the rest as for ``lw.task``. More for its code: ``from laneway import flow``."""
        within = None if dedupe_for is None else seconds(dedupe_for)
        limit = None if time_limit is None else seconds(time_limit)

        def decorate(function: Callable[..., Any]) -> TaskFunction[..., Any]:
            if not iscoroutinefunction(function):
                raise UsageError(
                    f"the flow {function.__name__} is not async", hint="write `async def`, and await its tasks"
                )
            own = name or function.__name__
            made = TaskFunction(own, function, lane, urgency, 1, None, within, limit, is_flow=True)
            self.python.register(made)
            return made

        return decorate if function is None else decorate(function)

    def on_result(
        self, *tasks: TaskFunction[..., Any] | str, name: str | None = None
    ) -> Callable[[CallbackFunction], CallbackFunction]:
        """Have a function called with each ended task (an ``Ended``) of these: ``@lw.on_result(review, "summarise")``.
        In a worker of this app, in the order of settlement, by one worker at a time; at least once, so it must bear a
        task told again. When it raises it is called again, five times in all. ``name``: under which its place is kept;
        the default is the function's own."""
        names = [task if isinstance(task, str) else getattr(task, "name", None) for task in tasks]
        types = frozenset(known for known in names if known)
        if not types or None in names:
            raise UsageError("on_result needs a task", hint='write @lw.on_result(review) or @lw.on_result("type")')

        def decorate(function: CallbackFunction) -> CallbackFunction:
            self.callbacks.register(function, types, name)
            return function

        return decorate

    def rule(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function a triage rule, asked after the config's rules: it gets the Patient and returns what to fill
        (``{"lane": "legal"}``) or None."""
        self.rules[function.__name__] = function
        return function
