"""What a flow's code may use besides plain asyncio: ``from laneway import flow``.

Inside a function decorated with ``@lw.flow``, calling a task or another flow begins it as a child and gives a future of
its result. ``asyncio.gather``, ``TaskGroup``, ``timeout`` and ``sleep`` work as they are, and survive a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import orjson

from laneway.errors import LanewayError, UsageError
from laneway.flows.current import current
from laneway.flows.live import Options

if TYPE_CHECKING:
    from laneway.flows.loop import FlowTask

T = TypeVar("T")
R = TypeVar("R")
OnError = Literal["raise", "keep", "skip"]
WINDOW = 1000  # children of one ``map`` that are under way at once, where nothing else is said

gather = asyncio.gather
sleep = asyncio.sleep


def task(
    what: Callable[..., Any] | str,
    *,
    lane: str | None = None,
    urgency: str | None = None,
    model: str | None = None,
    deadline: float | None = None,
    tags: Sequence[str] = (),
) -> Callable[..., Awaitable[Any]]:
    """A task or flow, or a prompt type by its name, to be called with its arguments: ``await flow.task("review",
    lane="legal", urgency="urgent")(text=doc)``. ``model`` is for prompt types; ``deadline``: seconds since 1970."""
    options = Options(lane, urgency, model, deadline, tuple(tags))

    def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        return current("flow.task").begin(what, args, kwargs, options)

    return call


def now() -> float:
    """Seconds since 1970, as the flow sees it: the same on every replay."""
    return current("flow.now").loop.now


def random() -> float:
    """From 0 to 1, the same on every replay."""
    return current("flow.random").random.random()


async def wait_event(name: str, timeout: float | None = None) -> Any:
    """Wait until somebody says so: ``laneway send-event FLOW NAME [JSON]`` or ``await lw.send_event(…)``. Returns what
    was sent with it. Events that came before are not lost; each is taken once, in their order. ``timeout`` in seconds;
    then TimeoutError is raised."""
    async with asyncio.timeout(timeout):
        return orjson.loads(await current("flow.wait_event").wait_event(name))


async def map(
    function: Callable[[T], Any], items: Iterable[T], *, concurrency: int | None = None, on_error: OnError = "raise"
) -> list[Any]:
    """Call a task, a flow or an async function of this flow with each item; the results in the items' order.
    ``concurrency``: how many at once; by itself 1,000. ``on_error``: ``"raise"`` the first error (the others are called
    off), ``"keep"`` each error in its result's place, or ``"skip"`` what failed."""
    if on_error not in ("raise", "keep", "skip"):
        raise UsageError(f"on_error={on_error!r}", hint='write "raise", "keep" or "skip"')
    if concurrency is not None and concurrency < 1:
        raise UsageError(f"concurrency={concurrency}", hint="give at least 1, or leave it out")
    results: dict[int, Any] = {}
    source = enumerate(items)
    place = current("flow.map").loop.unique("map")
    running: list[asyncio.Task[None]] = []
    try:
        while True:
            for at, item in islice(source, (concurrency or WINDOW) - len(running)):
                running.append(_each(f"{place}.{at}.", function, at, item, results, on_error))
            if not running:
                return [results[at] for at in sorted(results)]
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for one in [one for one in running if one.done()]:
                running.remove(one)
                one.result()
    finally:
        for one in running:
            one.cancel()


def _each(
    path: str, function: Callable[[T], Any], at: int, item: T, results: dict[int, Any], on_error: OnError
) -> FlowTask:
    async def one() -> None:
        try:
            results[at] = await function(item)
        except (LanewayError, TimeoutError) as error:
            if on_error == "raise":
                raise
            if on_error == "keep":
                results[at] = error

    return current("flow.map").loop.create_task(one(), path=path)


async def any(*awaitables: Awaitable[T]) -> T:
    """The first result that comes without an error; what is under way then is called off. When all fail, the last error
    is raised."""
    waiting = [asyncio.ensure_future(one) for one in awaitables]
    if not waiting:
        raise UsageError("flow.any() was given nothing", hint="give it at least one task")
    try:
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in [one for one in waiting if one in done]:
                if len(waiting) == 1 or not (one.cancelled() or one.exception()):
                    return one.result()
                waiting.remove(one)
    finally:
        for one in waiting:
            one.cancel()


async def reduce(function: Callable[[list[Any]], Any], items: Iterable[Any], *, width: int = 8) -> Any:
    """Join many results in a tree: ``function`` gets lists of up to ``width`` of them, then of what it made of these,
    until one is left. One item alone is returned as it is. Raises UsageError for no items."""
    if width < 2:
        raise UsageError(f"width={width}", hint="give at least 2")
    level = list(items)
    if not level:
        raise UsageError("flow.reduce() was given nothing to join", hint="give it at least one item")
    while len(level) > 1:
        groups = list(_grouped(level, width))
        joined = await map(function, [group for group in groups if len(group) > 1])
        level = [*joined, *(group[0] for group in groups if len(group) == 1)]
    return level[0]


def _grouped(items: list[Any], width: int) -> Iterator[list[Any]]:
    return (items[at : at + width] for at in range(0, len(items), width))
