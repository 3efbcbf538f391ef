"""``Laneway``: the Python API, and the one place where the parts are put together."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from laneway.app.agent_verbs import AgentVerbs
from laneway.app.configured import Configured
from laneway.app.forks import forked, watch_forks
from laneway.app.jobs import API_RUN, Board, Boards, Job, call_soon
from laneway.app.options import Options, of_each, seconds
from laneway.app.preparing import Preparing
from laneway.app.python.callbacks import Callbacks
from laneway.app.python.tasks import CURRENT, PythonTasks, TaskFunction
from laneway.app.registering import Registering
from laneway.app.settings import configured_store, store_exists, store_url
from laneway.clock import Clock, SystemClock
from laneway.errors import ConflictError, UsageError
from laneway.flows.current import CURRENT as FLOW
from laneway.store.interface import Store
from laneway.store.runs import Run

if TYPE_CHECKING:
    from laneway.app.outbox.relay import Relay
    from laneway.app.outbox.within import Within
    from laneway.app.sync import Sync
    from laneway.app.working import Working
    from laneway.config.models import Config
    from laneway.dispatch.dispatcher import Dispatcher
    from laneway.dispatch.settler import Batch
    from laneway.providers.streams.follow import Listener
    from laneway.task import Claimed, NewTask

P = ParamSpec("P")
R = TypeVar("R")
SUBMIT_BATCH = 500
FeedbackField = Literal["quality", "category", "urgency", "complexity"]


class Laneway(Configured, Registering, AgentVerbs):
    """One application: its config, its store, its tasks. Finds ``laneway.toml`` in the current folder or above.

    Nothing is opened before it is needed. Use it from one event loop, or through ``lw.sync`` from anywhere.
    """

    def __init__(
        self,
        config: str | Path | Config | None = None,
        *,
        store: str | None = None,
        env: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        secrets: Callable[[set[str]], object] | None = None,
    ) -> None:
        """``secrets`` is told the keys that are in use, so that logs can hide them."""
        super().__init__(config, os.environ if env is None else env, secrets)
        self._store_option = store
        self.clock: Clock = clock or SystemClock()
        self.python = PythonTasks()
        self.callbacks = Callbacks()
        self.rules: dict[str, Callable[..., Any]] = {}
        self._store: Store | None = None
        self._boards = Boards()
        self._relay: Relay | None = None
        self._run: Run | None = None
        self._dispatchers: list[Dispatcher] = []  # of workers in this process: two while one takes over from another
        self.listeners: dict[tuple[int, str], Listener] = {}  # by run and key: who follows an answer
        self._sync: Sync | None = None
        self._opening = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None  # where a worker runs
        self._forked = False
        watch_forks(self)

    # parts --------------------------------------------------------------------------------------------------------
    @property
    def store(self) -> Store:
        """Opened on first use. Raises StoreError when it cannot be used, UsageError when this process was forked after
        it was opened."""
        if self._forked:
            raise forked()
        if self._store is None:
            config = self.config
            with self._opening:
                if self._store is None:
                    self._store = configured_store(self._store_option, config, self.env)
                    if isinstance(self.clock, SystemClock) and (now := self._store.time()) is not None:
                        self.clock.go_by(now)
        return self._store

    def existing_store(self) -> Store | None:
        """The store if it is there; none is made."""
        there = self._store is not None or store_exists(store_url(self._store_option, self.config, self.env))
        return self.store if there else None

    def use_store(self, url: str) -> None:
        """Use this store instead of the configured one. Before the first use only."""
        if self._store is not None:
            raise UsageError("the store is open already", hint="choose the store before the first task is submitted")
        self._store_option = url

    def hide_words(self) -> None:
        """From now on the store tells of errors without anybody's words. Opens it."""
        from laneway.app.hidden_store import hidden_store

        self._store = hidden_store(self.store)

    @property
    def board(self) -> Board:
        """Of the running event loop: each has one of its own."""
        return self._boards.here(self.store, self.clock)

    @property
    def relay(self) -> Relay:
        """Between callers' own databases and the store."""
        from laneway.app.outbox.relay import Relay

        store = self.store
        with self._opening:
            if self._relay is None:
                self._relay = Relay(store, self.clock, self._api_run)
        return self._relay

    @property
    def sync(self) -> Sync:
        """The same API, blocking, for code without an event loop: ``lw.sync.submit(review, doc).result()``."""
        if self._sync is None:
            from laneway.app.sync import Sync

            self._sync = Sync(self)
        return self._sync

    # submitting ---------------------------------------------------------------------------------------------------
    async def submit(
        self,
        task: TaskFunction[..., R] | Callable[..., R] | str,
        *args: Any,
        key: str | None = None,
        urgency: str | None = None,
        lane: str | None = None,
        model: str | None = None,
        deadline: float | None = None,
        delay: float | None = None,
        at: float | datetime | None = None,
        tags: Sequence[str] = (),
        team: str | None = None,
        connection: object | None = None,
        **kwargs: Any,
    ) -> Job[Any]:
        """Submit one task; durable when this returns. ``task``: a decorated function with its arguments, or the name
        of a prompt type of the config with its record's fields as keywords. ``deadline``: seconds since 1970;
        ``delay``: seconds to wait first; ``at``: the time before which it does not start (a datetime, or seconds since
        1970). The same ``key`` again returns the same task; with other arguments it raises
        ConflictError.

        ``connection``: to a SQLite database of your own; the task is written in the transaction that is open there and
        exists if and only if it commits. Without an open one it is as with any other statement on that connection."""
        options = Options(key, urgency, lane, model, deadline, delay, tuple(tags), team, at)
        prepared = self.preparing.prepare(task, args, kwargs, options)
        if connection is not None:
            return (await self.within.submit(connection, [prepared]))[0]
        run = await self._api_run()
        done = await self.preparing.submit(self.store, run, [prepared], self.clock.now())
        if done.conflicts:
            raise ConflictError(
                f"the key {key!r} was used for other arguments before", hint="use another key, or leave it out"
            )
        self.poke()
        return Job(done.ids[0], key, lambda: self.board, prepared.decode)

    async def job(self, ref: int | str) -> Job[Any]:
        """A task that was submitted before, here or elsewhere, by its id or key. Raises NotFoundError."""
        task = await self.store.find_task(str(ref))
        return Job(task.id, task.key, lambda: self.board, lambda output: self.preparing.value(task, output))

    async def feedback(
        self, task: int | str | Job[Any], word: str, *, field: FeedbackField | None = None, note: str | None = None
    ) -> None:
        """Say that a task's answer was ``"good"`` or ``"bad"``, or what the task really was: a label, with ``field``
        saying of what (default: its category). ``task``: a Job, an id or a key. The last word about a task counts;
        ``laneway triage train --from-store`` learns from them. Raises NotFoundError, UsageError."""
        from laneway.app.feedback import say_one

        await say_one(self, str(task.id if isinstance(task, Job) else task), word, field, note)

    async def send_event(self, flow: int | str | Job[Any], name: str, data: Any = None) -> None:
        """Say something to a flow, which waits for it with ``flow.wait_event(name)`` or will. ``flow``: a Job, an id or
        a key; ``data``: what JSON can carry. Raises ConflictError when it has ended, NotFoundError."""
        from laneway.app.flows.events import send

        await send(self, str(flow.id if isinstance(flow, Job) else flow), name, data)

    def poke(self) -> None:
        """There is new work: a worker of this process looks at once."""
        loop = self.loop
        if loop is not None:
            for dispatcher in self._dispatchers:
                call_soon(loop, dispatcher.poke)

    def claim_at_once(self, run: Run, task: NewTask) -> bool:
        """Right after ``store.submit``, which is not awaited yet: have the task claimed in the same commit, where a
        worker runs on this loop and nothing waits. False: after the commit, ``poke``."""
        if not self._dispatchers or self.loop is not asyncio.get_running_loop():
            return False
        return self._dispatchers[-1].claim_at_once(run.id, task)  # the others are leaving

    def listener(self, task: Claimed) -> Listener | None:
        return self.listeners.get((task.run_id, task.key)) if task.key else None

    async def call_off(self, task_id: int) -> None:
        """Cancel a task; a call that this process is making for it is broken off."""
        await self.store.cancel([task_id], self.clock.now())
        for dispatcher in self._dispatchers:
            dispatcher.call_off(task_id)

    async def submit_many(
        self, task: TaskFunction[..., Any] | str, items: Iterable[Any], **options: Any
    ) -> list[Job[Any]]:
        """Submit one task for each item (its only argument), a few hundred in one transaction. With ``connection`` all
        of them in the caller's."""
        if (connection := options.pop("connection", None)) is not None:
            prepared = self.preparing.prepare_many(task, [*items], of_each(options))
            return [*await self.within.submit(connection, prepared)]
        jobs: list[Job[Any]] = []
        source = iter(items)
        while batch := list(islice(source, SUBMIT_BATCH)):
            jobs += await self._submit_batch(task, batch, options)
        return jobs

    async def _submit_batch(
        self, task: TaskFunction[..., Any] | str, items: Sequence[Any], options: Mapping[str, Any]
    ) -> list[Job[Any]]:
        prepared = self.preparing.prepare_many(task, items, of_each(options))
        run = await self._api_run()
        done = await self.preparing.submit(self.store, run, prepared, self.clock.now())
        self.poke()

        def board() -> Board:
            return self.board

        return [Job(id_, None, board, decode) for id_, (_, decode, _) in zip(done.ids, prepared, strict=True)]

    @property
    def preparing(self) -> Preparing:
        """From calls to tasks: validated, rendered and routed."""
        if self._preparing is None:
            self._preparing = Preparing(self.config, self.triage, self.python, self.clock, self.inquiries())
        return self._preparing

    @property
    def within(self) -> Within:
        """Submitting inside callers' own transactions."""
        from laneway.app.outbox.within import Within

        return Within(self.store, self.clock, self.relay, lambda: self.board, self.preparing.prepare, self._api_run)

    async def map(
        self,
        task: TaskFunction[..., R] | str,
        items: Iterable[Any],
        *,
        on_error: Literal["raise", "keep"] = "raise",
        **options: Any,
    ) -> AsyncIterator[Any]:
        """Submit one task for each item and yield the results in the items' order, as they are there.
        ``on_error="keep"`` yields the error (TaskFailed, TaskCancelled) in its place instead of raising it."""
        from laneway.app.mapping import in_order

        async for result in in_order(partial(self._submit_batch, task, options=options), items, on_error):
            yield result

    async def _api_run(self) -> Run:
        if self._run is None:
            now = self.clock.now()
            self._run = await self.store.open_run(API_RUN, info={"kind": "api"}, max_cost=None, now=now, join=True)
        return self._run

    # working ------------------------------------------------------------------------------------------------------
    @asynccontextmanager
    async def worker(
        self, *, lanes: Collection[str] | None = None, grace: float | str | None = None
    ) -> AsyncIterator[Working]:
        """Work on this store's tasks in this process for the length of the block: on those of some ``lanes``, or all.
        What is in flight at its end is finished first; after ``grace`` (seconds, or ``"30s"``; None: however long it
        takes) the rest is broken off and goes back to the queue."""
        from laneway.app.engine import engine
        from laneway.app.side_work import side_work
        from laneway.app.working import Working
        from laneway.dispatch.ending import Scope

        loop = asyncio.get_running_loop()

        def written(batch: Batch) -> None:
            self._boards.written(loop, batch)
            self.callbacks.poke()

        scope = None if lanes is None else Scope(lanes=frozenset(lanes))
        patience = None if grace is None else seconds(grace)
        async with engine(self, scope=scope, written=written) as running:
            working = Working(running, patience)
            async with side_work(self, working):
                self._dispatchers.append(running.dispatcher)
                self.loop = loop
                working.begin()
                try:
                    yield working
                finally:
                    try:
                        await working.finish()
                    finally:
                        self._dispatchers.remove(running.dispatcher)
                        if not self._dispatchers:
                            self.loop = None

    def call(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]] | str,
        *,
        output: Any = None,
        check: Callable[[Any], Any] | None = None,
        **params: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Ask a model from inside a task: admitted by its account's limits, recorded in the ledger. ``model``: a name,
        or ``"auto"``: triage chooses for each call by its text and size, within a conversation upward only; where that
        model fails, its route's next one is asked. ``messages``: Chat Completions messages, or one user text.
        ``output``: a pydantic model or JSON Schema; then that is returned, else the answer's text. ``check`` gets what
        is to be returned, and returns None or what is wrong with it, or raises ValueError. An answer that is not as
        asked for is asked for again, with the fault shown. ``params``: further Chat Completions fields. Raises
        ProviderError when the model will not. Inside a flow each call is a task of its own, begun at once, and
        ``check`` is not for it."""
        if (live := FLOW.get()) is not None:  # not in a coroutine, so that a gather of many wakes the flow once
            from laneway.app.flows.children import model_call

            begun = live.begin(model_call(model, messages, output, check, params), (), {})
            return cast("Coroutine[Any, Any, Any]", begun)
        return self._call(model, messages, output, check, params)

    async def _call(self, model: str, messages: Any, output: Any, check: Any, params: Mapping[str, Any]) -> Any:
        context = CURRENT.get()
        inner = None if context is None else context.inner
        if context is None or inner is None:
            raise UsageError(
                "lw.call was used outside a task",
                hint="call it inside a function decorated with @lw.task, and submit that",
            )
        context.calls += 1
        return await inner.call(context.task, context.calls, model, messages, output, check, params)

    def after_fork(self) -> None:
        """In a forked child, at once: what the parent has open is left to it, neither used nor closed here."""
        if self._store is not None:
            self._forked = True
            self._store.forked()
        self._opening = threading.Lock()
        self._boards, self._run, self._dispatchers, self.loop = Boards(), None, [], None
        if self._sync is not None:
            self._sync.forked()

    async def close(self) -> None:
        """Close the store. Safe to call twice."""
        if self._forked:
            return
        self._boards.close()
        if self._relay is not None:
            await self._relay.close()
            self._relay = None
        if self._store is not None:
            await self._store.close()
            self._store = self._run = None

    async def __aenter__(self) -> Laneway:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
