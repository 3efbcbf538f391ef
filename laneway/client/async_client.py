"""The async client. The same as the blocking one, with ``await``."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

from laneway.client.calls import Calls, Moment, Wishes, asking
from laneway.client.flowing import Session
from laneway.client.mapping import Key
from laneway.client.place import place
from laneway.client.shapes import Event, Mapped, Result, Run, Selected, Task

RETRY_S = 60.0
Ref: TypeAlias = "int | str | Task | AsyncJob"


class AsyncJob:
    """A task that the server has taken. ``id`` and ``key`` name it everywhere; ``task``: as it was then."""

    def __init__(self, client: AsyncClient, task: Task) -> None:
        self._client = client
        self.task = task
        self.id, self.key = task.id, task.key

    async def result(self, timeout: float | None = None) -> Any:
        """The answer, when it is there. ``timeout``: seconds; the task goes on when they run out. Raises TaskFailed,
        TaskCancelled, WaitTimeout."""
        return (await self._client.wait(self.id, timeout)).result()

    async def status(self) -> Task:
        """The task as it stands."""
        return await self._client.get(self.id)

    async def cancel(self) -> bool:
        """Whether there was something to cancel."""
        return await self._client.cancel(self.id)

    def events(self) -> AsyncIterator[Event]:
        """Its states, as they change, until it has ended."""
        return self._client.task_events(self.id)

    def __repr__(self) -> str:
        return f"<AsyncJob {self.id}{f' {self.key!r}' if self.key else ''}>"


class AsyncClient:
    """A Laneway server. For one event loop. Tasks are named by id, key or AsyncJob.

    ``url``, ``token``: default LANEWAY_URL and LANEWAY_TOKEN. ``retry_for``: seconds for which a server that is away or
    has no room is asked again; nothing is done twice by that. ``tls``: instead of the system's authorities. Errors are
    those of ``laneway``, with the server's message and hint; ServerUnreachable when nobody answers."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        retry_for: float = RETRY_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._place = place(url, token)
        self._calls = Calls(retry_for, time.monotonic)
        self._http = Session(self._place, tls)

    # submitting ---------------------------------------------------------------------------------------------------
    async def submit(
        self,
        type: str | None = None,
        /,
        *,
        prompt: str | None = None,
        system: str | None = None,
        body: Mapping[str, Any] | None = None,
        format: str | None = None,
        fields: Mapping[str, Any] | None = None,
        key: str | None = None,
        urgency: str | None = None,
        lane: str | None = None,
        model: str | None = None,
        deadline: Moment | None = None,
        delay: float | None = None,
        at: Moment | None = None,
        tags: Sequence[str] = (),
        webhook: str | None = None,
        **more: Any,
    ) -> AsyncJob:
        """Submit one task; durable when this returns. ``type``: of the server's config, or a function of its app, with
        its fields by name (in ``fields`` those whose names mean something here); or a ``prompt``, with ``system``; or a
        provider's request as ``body``, with its ``format`` (chat, responses, messages, embeddings). The same ``key``
        again is the same task, with another request ConflictError. Times: a datetime, or seconds since 1970; ``delay``:
        seconds; ``webhook``: an address that is told of the end."""
        wishes = Wishes(urgency, lane, model, deadline, delay, at, tags, webhook)
        what = asking(type, prompt, system, body, format, fields, more)
        return AsyncJob(self, await self._http.run(self._calls.submit(what, key, wishes)))

    def map(
        self,
        type: str | None,
        records: Iterable[Any],
        *,
        key: Key = None,
        urgency: str | None = None,
        lane: str | None = None,
        model: str | None = None,
        deadline: Moment | None = None,
        tags: Sequence[str] = (),
        webhook: str | None = None,
    ) -> AsyncIterator[Mapped]:
        """Submit a task for each record (the type's fields; without a type, a prompt) and give each back when it has
        ended, failed ones too; the records are read as there is room. ``key``: a field's name, or a function of the
        record: then the same map again, also of another process, goes on where this one was."""
        wishes = Wishes(urgency, lane, model, deadline, None, None, tags, webhook)
        return self._http.walk(self._calls.map(type, records, key, wishes))

    # looking ------------------------------------------------------------------------------------------------------
    async def get(self, task: Ref) -> Task:
        """As it stands. Raises NotFoundError."""
        return await self._http.run(self._calls.task(_ref(task)))

    async def wait(self, task: Ref, timeout: float | None = None) -> Task:
        """When it has ended. Raises WaitTimeout."""
        return await self._http.run(self._calls.ended(_ref(task), timeout))

    def tasks(self, **filter: Any) -> AsyncIterator[Task]:
        """The newest first, without their answers. ``filter``: state, type, lane, model, urgency, run, tag, key,
        class_, code; of several values in a list, any."""
        return self._http.walk(self._calls.tasks(**filter))

    async def explain(self, task: Ref) -> dict[str, Any]:
        """Why it went where it went, and what its calls came to; as ``laneway explain --json``."""
        return await self._http.run(self._calls.explain(_ref(task)))

    async def tree(self, task: Ref) -> dict[str, Any]:
        """A flow, with all that it began."""
        return await self._http.run(self._calls.tree(_ref(task)))

    def runs(self) -> AsyncIterator[Run]:
        """The newest first."""
        return self._http.walk(self._calls.runs())

    async def run(self, run: int) -> Run:
        return await self._http.run(self._calls.run(run))

    def results(self, run: int, *, after: int = 0) -> AsyncIterator[Result]:
        """What has ended, in the order of ending; ``after``: the ``seq`` of the last one that is known."""
        return self._http.walk(self._calls.results(run, after))

    async def overview(self) -> dict[str, Any]:
        """How everything stands."""
        return await self._http.run(self._calls.overview())

    def figures(self, of: str) -> AsyncIterator[dict[str, Any]]:
        """Of ``lanes``, ``accounts``, ``models``, ``types``, ``workers`` or ``failures``, as the API has them."""
        return self._http.walk(self._calls.figures(of))

    def events(self, *, after: int | str | None = None) -> AsyncIterator[Event]:
        """What happens, as it does, without an end: ``ended`` with a task, ``figures``. Breaks are made up for;
        ``after``: the id of the last event that is known."""
        return self._http.walk(self._calls.events(after))

    def task_events(self, task: Ref) -> AsyncIterator[Event]:
        """``state`` at every change, until the task has ended."""
        return self._http.walk(self._calls.task_events(_ref(task)))

    # steering -----------------------------------------------------------------------------------------------------
    async def cancel(self, task: Ref) -> bool:
        """Whether there was something to cancel."""
        return await self._http.run(self._calls.cancel(_ref(task)))

    async def retry(self, task: Ref) -> bool:
        """A failed or cancelled task goes again."""
        return await self._http.run(self._calls.retry(_ref(task)))

    async def set(
        self,
        task: Ref,
        *,
        urgency: str | None = None,
        lane: str | None = None,
        model: str | None = None,
        deadline: Moment | None = None,
    ) -> bool:
        """Of a task that has not ended."""
        change = {"urgency": urgency, "lane": lane, "model": model, "deadline": deadline}
        return await self._http.run(self._calls.set(_ref(task), **change))

    async def select(
        self, verb: str, *, change: Mapping[str, Any] | None = None, dry_run: bool = False, **filter: Any
    ) -> Selected:
        """``cancel``, ``retry`` or ``set`` (with its ``change``) all tasks that a filter finds, as ``tasks`` has it, or
        ``ids``. ``dry_run``: only count them."""
        return await self._http.run(self._calls.select(verb, filter, change, dry_run=dry_run))

    async def pause(self, *, lane: str | None = None, account: str | None = None, run: int | None = None) -> bool:
        """Nothing new starts there; what is in flight is finished. Whether it was otherwise before."""
        return await self._http.run(self._calls.hold("pause", lane, account, run))

    async def resume(self, *, lane: str | None = None, account: str | None = None, run: int | None = None) -> bool:
        return await self._http.run(self._calls.hold("resume", lane, account, run))

    async def limit(self, *, lane: str | None = None, account: str | None = None, **limits: float | None) -> None:
        """Change limits while work goes on: concurrency, weight, and an account's rates, which can only be lowered.
        None gives the config's back."""
        await self._http.run(self._calls.limit(lane, account, limits))

    async def drain(self, worker: str) -> None:
        """Have a worker finish what it has and end."""
        await self._http.run(self._calls.drain(worker))

    async def feedback(self, task: Ref, word: str, *, field: str | None = None, note: str | None = None) -> None:
        """Say that its answer was ``good`` or ``bad``, or a label, with ``field`` saying of what."""
        await self._http.run(self._calls.feedback(_ref(task), word, field, note))

    async def send_event(self, flow: Ref, name: str, data: Any = None) -> None:
        """Say something to a flow, which waits for it or will."""
        await self._http.run(self._calls.send_event(_ref(flow), name, data))

    async def close(self) -> None:
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._place.origin}>"


def _ref(task: Ref) -> int | str:
    return task.id if isinstance(task, Task | AsyncJob) else task
