"""A span for every try of a task: of the client kind where it is a call, with the calls of own code below theirs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from laneway.dispatch.desk import Admission
from laneway.dispatch.dispatcher import Execute
from laneway.dispatch.patience import Patience
from laneway.logs import ABOUT, NOTHING
from laneway.providers.model import Account, Model, Reply
from laneway.task import Claimed, Failure, Spec, Wire
from laneway.telemetry import names
from laneway.telemetry.contents import Attributes, answered, parameters, read, words
from laneway.telemetry.exporting import provider
from laneway.telemetry.wanted import parent_of
from laneway.version import VERSION

LAST_S = 5  # for spans that have not been sent at the end
_CODE = re.compile(r"[\w.:-]{1,80}")
FindModel = Callable[[str], Model | None]


class Tracing:
    """``clean`` takes keys out of content. Raises nothing: a collector that is away costs its spans, not tasks."""

    def __init__(self, env: Mapping[str, str], *, content: bool, clean: Callable[[str], str]) -> None:
        self._content = content
        self._clean = clean
        self._own: TracerProvider | None = None
        given = trace.get_tracer_provider()
        if isinstance(given, trace.ProxyTracerProvider):  # nobody has set one
            given = self._own = provider(env)
        self._tracer = given.get_tracer("laneway", VERSION)

    async def close(self) -> None:
        """Send what is left."""
        if self._own is not None:
            await asyncio.to_thread(self._own.force_flush, LAST_S * 1000)
            await asyncio.to_thread(self._own.shutdown)

    def around(self, execute: Execute, find_model: FindModel) -> Execute:
        """The same, with a span for each try."""

        async def traced(task: Claimed, admission: Admission | None) -> Reply:
            model = find_model(task.model)
            facts = _of_task(task)
            if admission is None or model is None or task.spec.wire is Wire.PYTHON:
                name, kind = f"task {task.spec.type}", SpanKind.INTERNAL
            else:
                call = _of_call(admission.desk.account, model, task.spec)
                name, kind, facts = _name(call), SpanKind.CLIENT, {**call, **facts}
            with self._span(name, kind, facts, _context(task)) as span:
                work = execute(task, admission)
                return await self._told(span, work, task.spec, task.body, lambda: find_model(task.model))

        return traced

    def patience(self, patience: Patience) -> Patience:
        """The same, with a span for each call: for those that running tasks make themselves."""
        return _TracedPatience(patience, self)

    def _span(
        self, name: str, kind: SpanKind, facts: Attributes, context: Context | None = None
    ) -> AbstractContextManager[Span]:
        return self._tracer.start_as_current_span(
            name, context, kind, facts, record_exception=False, set_status_on_exception=False
        )  # an exception's words may quote a prompt

    async def _told(
        self, span: Span, work: Awaitable[Reply], spec: Spec, body: bytes, find_model: Callable[[], Model | None]
    ) -> Reply:
        """``find_model``: with its prices, which may be known only at the end."""
        ids = span.get_span_context()
        before = ABOUT.get(NOTHING)
        ABOUT.set({**before, "trace_id": f"{ids.trace_id:032x}", "span_id": f"{ids.span_id:016x}"})
        try:
            reply = await work
        except asyncio.CancelledError:
            _fail(span, "cancelled")
            raise
        finally:
            ABOUT.set(before)
        if span.is_recording():
            self._tell(span, reply, spec, body, find_model())
        return reply

    def _tell(self, span: Span, reply: Reply, spec: Spec, body: bytes, model: Model | None) -> None:
        if model is not None and spec.wire is not Wire.PYTHON:
            request, answer = read(body), read(reply.output)
            span.set_attributes(parameters(request, model.params))
            span.set_attributes(answered(spec.wire, answer))
            if self._content:
                span.set_attributes(words(request, spec.wire, answer, self._clean))
        if usage := reply.usage:
            span.set_attribute(names.INPUT_TOKENS, usage.input_tokens)
            span.set_attribute(names.OUTPUT_TOKENS, usage.output_tokens)
            if usage.cached_tokens:
                span.set_attribute(names.CACHE_READ_TOKENS, usage.cached_tokens)
            if usage.written_tokens:
                span.set_attribute(names.CACHE_CREATION_TOKENS, usage.written_tokens)
            if model is not None and (cost := model.cost(usage)) is not None:
                span.set_attribute(names.COST_USD, cost)
        if reply.failure is not None:
            _fail(span, error_type(reply.failure))


class _TracedPatience(Patience):
    def __init__(self, patience: Patience, tracing: Tracing) -> None:
        self._patience = patience
        self._tracing = tracing

    async def call(self, account: Account, model: Model, spec: Spec, body: bytes, **rest: Any) -> Reply:
        facts = _of_call(account, model, spec)
        with self._tracing._span(_name(facts), SpanKind.CLIENT, facts) as span:
            work = self._patience.call(account, model, spec, body, **rest)
            return await self._tracing._told(span, work, spec, body, lambda: model)


def error_type(failure: Failure) -> str:
    """A word of few: the provider's code, where it is one, else its HTTP status."""
    if _CODE.fullmatch(failure.code):
        return failure.code
    return str(failure.status) if failure.status else names.OTHER_ERROR


def _fail(span: Span, kind: str) -> None:
    span.set_attribute(names.ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR))


def _context(task: Claimed) -> Context | None:
    said = parent_of(task.tags)
    return None if said is None else TraceContextTextMapPropagator().extract({"traceparent": said})


def _name(facts: Attributes) -> str:
    return f"{facts[names.OPERATION]} {facts[names.REQUEST_MODEL]}"


def _of_task(task: Claimed) -> Attributes:
    facts: Attributes = {
        names.TASK_ID: task.id,
        names.TASK_TYPE: task.spec.type,
        names.RUN_ID: task.run_id,
        names.LANE: task.lane,
        names.URGENCY: task.urgency.label,
        names.ATTEMPT: task.attempts + task.refusals + 1,
    }
    return facts if task.team is None else {**facts, names.TEAM: task.team}


def _of_call(account: Account, model: Model, spec: Spec) -> Attributes:
    place = urlsplit(account.base_url)
    facts: Attributes = {
        names.OPERATION: names.OPERATIONS[spec.wire],
        names.PROVIDER: names.PROVIDERS.get(account.provider, account.provider),
        names.REQUEST_MODEL: model.id,
        names.MODEL: model.name,
        names.ACCOUNT: account.name,
        names.SERVER_ADDRESS: place.hostname or "",
        names.SERVER_PORT: place.port or (443 if place.scheme == "https" else 80),
    }
    return facts if spec.output_schema is None else {**facts, names.OUTPUT_TYPE: "json"}
