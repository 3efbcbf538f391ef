"""Python functions as tasks: registered by name, arguments and results as JSON, never pickle."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import inspect
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import orjson

from laneway.dispatch.desk import Admission
from laneway.dispatch.retry import code_failure
from laneway.dispatch.time_limit import left_s, out_of_time
from laneway.errors import NotFoundError, ProviderError, UsageError
from laneway.providers.model import Reply
from laneway.task import Claimed, Failure, FailureClass, Usage

if TYPE_CHECKING:
    from laneway.app.python.inner_calls import InnerCalls

P = ParamSpec("P")
R = TypeVar("R")
THREADS = 32

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Context:
    """The task that the running code belongs to."""

    task: Claimed
    calls: int = 0  # of ``lw.call``, so far


CURRENT: contextvars.ContextVar[Context | None] = contextvars.ContextVar("laneway_task", default=None)


@dataclass(frozen=True)
class TaskFunction(Generic[P, R]):
    """What ``@lw.task`` makes of a function. Calling it calls the function itself, here and now."""

    name: str
    function: Callable[P, R]
    lane: str | None = None
    urgency: str | None = None
    max_attempts: int | None = None
    timeout: float | None = None
    dedupe_for: float | None = None  # seconds
    time_limit: float | None = None  # seconds

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @functools.cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @functools.cached_property
    def _validated(self) -> Callable[..., Any]:
        from pydantic import validate_call

        return validate_call(self.function)

    @functools.cached_property
    def _plain(self) -> bool:
        """No annotation asks for more than JSON gives: pydantic can be left out."""
        simple = {inspect.Parameter.empty, "Any", Any, "str", str, "int", int, "bool", bool}
        return all(p.annotation in simple for p in inspect.signature(self.function).parameters.values())

    @functools.cached_property
    def _fitting(self) -> set[tuple[int, frozenset[str]]]:
        """Which arguments it takes, as seen so far: how many in order, and the names of the others."""
        return set()

    @functools.cached_property
    def _result_type(self) -> Any:
        import typing

        from pydantic import TypeAdapter

        hints = typing.get_type_hints(self.function)
        returned = hints.get("return")
        return None if returned is None or returned is Any else TypeAdapter(returned)

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The body of a call. Raises UsageError when the arguments do not fit the function or are not JSON."""
        shape = len(args), frozenset(kwargs)
        if shape not in self._fitting:
            try:
                inspect.signature(self.function).bind(*args, **kwargs)
            except TypeError as error:
                raise UsageError(f"{self.name}: {error}", hint="pass the arguments that the function takes") from None
            self._fitting.add(shape)
        return to_json({"args": list(args), "kwargs": dict(kwargs)}, self.name)

    def decode_result(self, output: bytes) -> Any:
        """The return value as the function's own return type."""
        if self._result_type is None:
            return orjson.loads(output)
        return self._result_type.validate_json(output)

    def bind(self, body: bytes) -> Callable[[], Any]:
        call = orjson.loads(body)
        function = self.function if self._plain else self._validated
        return functools.partial(function, *call["args"], **call["kwargs"])


def to_json(value: Any, name: str) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        pass
    from pydantic_core import PydanticSerializationError
    from pydantic_core import to_json as pydantic_json

    try:
        return pydantic_json(value)
    except PydanticSerializationError as error:
        raise UsageError(
            f"{name}: {error}",
            hint="arguments and results travel as JSON: use plain values, dataclasses or pydantic models",
        ) from None


class PythonTasks:
    """Registry and executor. Async functions run on the loop, sync ones in threads."""

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        """``clean`` takes keys out of what functions say when they fail."""
        self._clean = clean
        self._functions: dict[str, TaskFunction[..., Any]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self.inner: InnerCalls | None = None  # set while a worker runs

    @property
    def names(self) -> list[str]:
        return list(self._functions)

    def register(self, function: TaskFunction[..., Any]) -> None:
        known = self._functions.get(function.name)
        if known is not None and known.function.__qualname__ != function.function.__qualname__:
            raise UsageError(
                f"two tasks are called {function.name!r}", hint='give one another name: @lw.task(name="…")'
            )
        self._functions[function.name] = function

    def find(self, name: str) -> TaskFunction[..., Any]:
        try:
            return self._functions[name]
        except KeyError:
            raise NotFoundError(
                f"no task is registered as {name!r}", hint="decorate the function with @lw.task in the app module"
            ) from None

    async def __call__(self, task: Claimed, admission: Admission | None) -> Reply:
        reply = await self._run(task)
        if reply.failure is None:
            return reply
        failure = dataclasses.replace(reply.failure, message=self._clean(reply.failure.message))
        return dataclasses.replace(reply, failure=failure)

    async def _run(self, task: Claimed) -> Reply:
        started = time.perf_counter()
        token = CURRENT.set(Context(task))
        try:
            function = self.find(task.spec.type)
            call = function.bind(task.body)
            left = left_s(task, task.claimed_at)
            if left <= 0:
                return out_of_time(task, task.claimed_at, called=False)
            timeout = min(task.spec.timeout or math.inf, left)
            work = call() if function.is_async else self._in_thread(call)
            if timeout == math.inf:
                value = await work
            else:
                async with asyncio.timeout(timeout) as scope:
                    value = await work
            output = b"null" if value is None else to_json(value, function.name)
            return Reply(output, None, None, time.perf_counter() - started)
        except NotFoundError as error:
            return _failed(FailureClass.REQUEST, "unknown_task", f"{error.message}; {error.hint}", started)
        except TimeoutError:
            if timeout == left < math.inf and scope.expired():
                return out_of_time(task, task.claimed_at + time.perf_counter() - started, called=True)
            return _failed(FailureClass.CODE, "timeout", "the task did not end within its timeout", started)
        except ProviderError as error:
            cls = FailureClass.REQUEST if error.failure is None else error.failure.cls
            return _failed(cls, "call_failed", error.message, started)
        except Exception as error:
            log.info("task %d (%s) raised", task.id, task.spec.type, exc_info=True)
            return code_failure(error)
        finally:
            CURRENT.reset(token)

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="laneway-task")
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, call)

    def forked(self) -> None:
        """In a forked child: the threads are the parent's."""
        self._threads = self.inner = None

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _failed(cls: FailureClass, code: str, message: str, started: float) -> Reply:
    return Reply(None, Usage(), Failure(cls, code, message[:2000]), time.perf_counter() - started)
