"""A worker with everything it needs, for one process: client, desks, executors, dispatcher."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from laneway.app.budgets import limits_of
from laneway.app.cascade import AnswerJudge
from laneway.app.late_prices import LatePrices
from laneway.app.python.auto import Auto
from laneway.app.python.inner_calls import InnerCalls
from laneway.app.python.running import PythonCalls
from laneway.dispatch.calls import ModelCalls
from laneway.dispatch.desk import Admission
from laneway.dispatch.desks import Desks
from laneway.dispatch.dispatcher import MAX_IN_FLIGHT, Dispatcher, Execute
from laneway.dispatch.ending import Scope
from laneway.dispatch.heart import new_worker_id
from laneway.dispatch.order import RISES_AT
from laneway.dispatch.patience import Patience
from laneway.dispatch.settler import Batch
from laneway.dispatch.worker import Worker
from laneway.hiding import without_words
from laneway.intake.asked import find_function
from laneway.providers.answers.validate import OutputCheck
from laneway.providers.client import Client
from laneway.providers.model import Reply
from laneway.providers.secrets import known_secrets
from laneway.store.interface import Store
from laneway.task import CLASSIFY, Claimed, Urgency, Wire
from laneway.telemetry.wanted import tracing

if TYPE_CHECKING:
    from laneway.app.flows.steps import Steps
    from laneway.app.laneway import Laneway
    from laneway.providers.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Engine:
    worker: Worker
    desks: Desks
    dispatcher: Dispatcher
    prices: LatePrices


@asynccontextmanager
async def engine(
    lw: Laneway,
    *,
    catalog: Catalog | None = None,
    scope: Scope | None = None,
    written: Callable[[Batch], None] | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
    rng: random.Random | None = None,
) -> AsyncIterator[Engine]:
    """Join the store and be ready to run. ``written`` is told what became of its tasks, after each commit."""
    catalog = catalog or lw.catalog
    lw.redactor.add(known_secrets(lw.env, lw.config))
    rng = rng or random.Random()
    name = new_worker_id()
    lanes = {lane: settings.concurrency for lane, settings in lw.config.lanes.items()}
    desks = Desks(lw.store, name, lw.clock, catalog.model, lanes, rng)

    async with Client(lw.clock) as client, LatePrices(catalog, client.begun) as prices:
        check = OutputCheck(find_function(lw.config.folder))
        if limits := limits_of(lw.config):
            await asyncio.to_thread(catalog.load_prices)  # what nobody knows the price of could not be reserved
        await lw.store.release_held(limits, lw.clock.now())  # the line may have been raised, or taken out
        content = lw.config.telemetry.content and not lw.config.hide_content
        traces = tracing(lw.env, content=content, clean=lw.redactor.clean)
        patience = Patience(client, desks.latencies, desks.tempos)
        judge = AnswerJudge(lw.config)
        model_calls = ModelCalls(patience, desks, check, partial(_record, lw.store), prices, judge, lw.listener)

        @cache
        def questions() -> Execute:
            """Imported with the first question: few workers have one."""
            from laneway.app.hearing import AnyAnswer, Hearing

            asking = ModelCalls(patience, desks, AnyAnswer(), partial(_record, lw.store), prices)
            return Hearing(lw.store, asking, lw.clock)

        executors: dict[Wire, Execute] = {wire: model_calls for wire in Wire if wire is not Wire.PYTHON}
        executors[Wire.CHAT] = partial(_chat, model_calls, questions)
        dispatcher = Dispatcher(
            lw.store,
            name,
            lw.clock,
            desks,
            executors,
            scope=scope,
            announce=written,
            weights={lane: settings.weight for lane, settings in lw.config.lanes.items()},
            rise_before={urgency: RISES_AT * lw.config.target_wait(urgency) for urgency in Urgency},
            max_in_flight=max_in_flight,
            rng=rng,
            has_app=lambda: bool(lw.python.names),  # a notebook defines its tasks while its worker runs
            words=without_words if lw.config.hide_content else None,
            limits=limits,
            open_flows=lw.config.flows.open,
        )

        @cache
        def flow_steps() -> Steps:
            """Imported with the first flow."""
            from laneway.app.flows.steps import Steps

            return Steps(lw)

        auto = Auto(lambda: lw.triage, desks.model)
        inner_patience = patience if traces is None else traces.patience(patience)
        inner = InnerCalls(lw.store, name, lw.clock, inner_patience, desks, dispatcher, rng, prices, auto)
        executors[Wire.PYTHON] = python_calls = PythonCalls(lw.python, lw.redactor.clean, flow_steps, inner)
        if traces is not None:
            executors |= {wire: traces.around(execute, desks.model) for wire, execute in executors.items()}
        async with Worker(lw.store, name, lw.clock, desks, dispatcher, keep=lw.config.keep) as worker:
            try:
                yield Engine(worker, desks, dispatcher, prices)
            finally:
                python_calls.close()
                if flow_steps.cache_info().currsize:
                    flow_steps().close()
                if traces is not None:
                    await traces.close()


async def _chat(
    model_calls: Execute, questions: Callable[[], Execute], task: Claimed, admission: Admission | None
) -> Reply:
    """A question to triage's classifier is a chat request, too."""
    return await (questions() if task.spec.type == CLASSIFY else model_calls)(task, admission)


async def _record(store: Store, task: Claimed) -> Mapping[str, Any]:
    """The input's columns of a task: read when a check asks, since few types have such checks."""
    (found,) = await store.get_tasks([task.id])
    return orjson.loads(found.record) if found.record else {}
