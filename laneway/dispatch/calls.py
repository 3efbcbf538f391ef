"""Carrying out a claimed model task: one call, its answer checked."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from laneway.dispatch.desk import Admission
from laneway.dispatch.desks import Desks
from laneway.dispatch.patience import Patience
from laneway.dispatch.retry import stronger
from laneway.dispatch.time_limit import left_s, out_of_time
from laneway.providers.answers.complaints import Complaint, shown_to
from laneway.providers.chat import answer_text
from laneway.providers.model import Reply
from laneway.providers.streams.follow import Listener
from laneway.task import Claimed, Failure, Spec


class Check(Protocol):
    """What is needed of ``laneway.providers.validate.OutputCheck``."""

    def unready(self, spec: Spec) -> Failure | None: ...

    def wants_record(self, spec: Spec) -> bool: ...

    def __call__(
        self, spec: Spec, body: bytes, output: bytes, record: Mapping[str, Any] | None = None
    ) -> Failure | None: ...


class Judge(Protocol):
    """Of answers that are as asked for. Never raises: without a judgement an answer is kept."""

    async def __call__(self, task: Claimed, output: bytes) -> str | None:
        """What speaks against an answer, in words that hold nothing of it; None when it will probably do."""
        ...


class Prices(Protocol):
    """Before they are known nothing is settled."""

    async def wait(self) -> object: ...


Listeners = Callable[[Claimed], "Listener | None"]  # who follows a task's answer
Records = Callable[[Claimed], Awaitable["Mapping[str, Any]"]]  # a task's input columns, {} where it has none


class ModelCalls:
    """Executes tasks whose body is a model request."""

    def __init__(
        self,
        patience: Patience,
        desks: Desks,
        check: Check,
        records: Records,
        prices: Prices,
        judge: Judge | None = None,
        listeners: Listeners = lambda _: None,
    ) -> None:
        self._listeners = listeners
        self._prices = prices
        self._judge = judge
        self._patience = patience
        self._desks = desks
        self._check = check
        self._records = records

    async def __call__(self, task: Claimed, admission: Admission | None) -> Reply:
        assert admission is not None, "a model task is claimed for an account"
        model = self._desks.model(task.model)
        assert model is not None, "a task is admitted for a model that is known"
        if unready := self._check.unready(task.spec):
            return Reply(None, None, unready, 0.0, heard=False)
        left = left_s(task, task.claimed_at)
        if left <= 0:
            return out_of_time(task, task.claimed_at, called=False)
        timeout = task.spec.timeout or model.timeout
        listener = self._listener(task)
        reply = await self._patience.call(
            admission.desk.account,
            model,
            task.spec,
            task.body,
            cap=min(timeout, left),
            tokens=(task.input_tokens, task.output_tokens),
            tried=task.attempts,
            complaint=shown_to(Complaint.from_text(task.complaint), task.model),
            listener=listener,
        )
        failure = reply.failure
        if failure is not None and listener is not None and listener.told:
            return dataclasses.replace(reply, told=True)
        if left < timeout and failure is not None and failure.code == "timeout" and reply.latency >= 0.99 * left:
            return out_of_time(task, task.claimed_at + reply.latency, called=True)
        await self._prices.wait()
        if reply.output is not None and (fault := await self._fault(task, reply.output)):
            said = answer_text(task.spec.wire, reply.output)
            return dataclasses.replace(reply, output=None, failure=fault, answer=said)
        if reply.output is not None and self._judge is not None and stronger(task):
            reply.weak = await self._judge(task, reply.output)
        return reply

    def _listener(self, task: Claimed) -> Listener | None:
        """Who follows this call's answer. One that has to be looked at first is not followed."""
        spec = task.spec
        looked_at = spec.checks or spec.output_schema is not None or (self._judge is not None and stronger(task))
        return None if looked_at else self._listeners(task)

    async def _fault(self, task: Claimed, output: bytes) -> Failure | None:
        if not self._check.wants_record(task.spec):
            return self._check(task.spec, task.body, output)
        record = await self._records(task)
        return await asyncio.to_thread(self._check, task.spec, task.body, output, record)  # it may take its time
