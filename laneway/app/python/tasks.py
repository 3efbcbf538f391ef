"""Python functions as tasks: registered by name, arguments and results as JSON, never pickle."""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

import orjson

from laneway.errors import NotFoundError, UsageError
from laneway.flows.current import CURRENT as FLOW

if TYPE_CHECKING:
    from laneway.app.python.inner_calls import InnerCalls
    from laneway.task import Claimed

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Context:
    """The task that the running code belongs to."""

    task: Claimed
    inner: InnerCalls  # of the worker that runs it
    calls: int = 0  # of ``lw.call``, so far


CURRENT: contextvars.ContextVar[Context | None] = contextvars.ContextVar("laneway_task", default=None)


@dataclass(frozen=True)
class TaskFunction(Generic[P, R]):
    """What ``@lw.task`` and ``@lw.flow`` make of a function. Calling it calls the function itself, here and now; inside
    a flow it begins a task, whose result is awaited."""

    name: str
    function: Callable[P, R]
    lane: str | None = None
    urgency: str | None = None
    max_attempts: int | None = None
    timeout: float | None = None
    dedupe_for: float | None = None  # seconds
    time_limit: float | None = None  # seconds
    is_flow: bool = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if (live := FLOW.get()) is not None:
            return cast(R, live.begin(self, args, kwargs))
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
    """The app's functions, by name."""

    def __init__(self) -> None:
        self._functions: dict[str, TaskFunction[..., Any]] = {}

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
