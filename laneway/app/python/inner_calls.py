"""Model calls made by a running Python task: admitted by the account like any other, each a line in the ledger."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from laneway.app.python.auto import AUTO, Auto
from laneway.app.python.wanted import Wanted
from laneway.clock import Clock
from laneway.dispatch.calls import Prices
from laneway.dispatch.desk import Admission
from laneway.dispatch.desks import Desks
from laneway.dispatch.dispatcher import Dispatcher
from laneway.dispatch.patience import Patience
from laneway.dispatch.retry import FREE_TRIES, delay_s
from laneway.errors import ProviderError
from laneway.providers.answers.checks import CheckBroken
from laneway.providers.answers.complaints import Complaint
from laneway.providers.answers.reading import Unusable
from laneway.providers.answers.validate import Answers
from laneway.providers.chat import answer_text
from laneway.providers.model import Model, Reply
from laneway.store.asking import Judged
from laneway.store.interface import Store
from laneway.task import Attempt, Claimed, Failure, FailureClass, Outcome, Spec, Wire
from laneway.triage.tokens import estimate_chat

MAX_ATTEMPTS = 6
LINES_OF_A_MODEL = 100  # of the ledger, within a call's thousand
MENDED_BY_STRONGER = frozenset({FailureClass.OUTPUT, FailureClass.REQUEST, FailureClass.TRANSIENT})
DEFAULT_OUTPUT_TOKENS = 256

log = logging.getLogger(__name__)


class InnerCalls:
    """Serves ``lw.call`` while a worker runs."""

    def __init__(
        self,
        store: Store,
        worker: str,
        clock: Clock,
        patience: Patience,
        desks: Desks,
        dispatcher: Dispatcher,
        rng: random.Random,
        prices: Prices,
        auto: Auto,
    ) -> None:
        self._auto = auto
        self._prices = prices
        self._store = store
        self._worker = worker
        self._clock = clock
        self._patience = patience
        self._answers = Answers()
        self._desks = desks
        self._dispatcher = dispatcher
        self._rng = rng

    async def call(
        self,
        task: Claimed,
        number: int,
        model_name: str,
        messages: Sequence[Mapping[str, Any]] | str,
        output: Any,
        check: Callable[..., Any] | None,
        params: Mapping[str, Any],
    ) -> Any:
        wanted = Wanted(self._answers, output, check)
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        body = {"messages": list(messages), **params}
        allowed = int(params.get("max_tokens") or params.get("max_completion_tokens") or DEFAULT_OUTPUT_TOKENS)
        spec = Spec(task.spec.type, Wire.CHAT, MAX_ATTEMPTS, timeout=None, output_schema=wanted.schema)
        sizes = (estimate_chat(list(messages)), allowed)
        rendered = orjson.dumps(body)
        if model_name == AUTO:
            reply = await self._upward(task, number, messages, spec, rendered, sizes, wanted)
        else:
            reply = await self._insist(task, number, model_name, spec, rendered, sizes, wanted)
        assert reply.output is not None
        return wanted.read(reply.output)

    async def _upward(
        self,
        task: Claimed,
        number: int,
        messages: Sequence[Mapping[str, Any]],
        spec: Spec,
        body: bytes,
        sizes: tuple[int, int],
        wanted: Wanted,
    ) -> Reply:
        """By the model that triage chooses; where that one fails, by the further ones of the route."""
        choice, changed = self._auto.choose(task, messages, sizes, self._clock.now())
        model_name, first = choice.model, 0
        while True:
            if changed is not None:
                await self._store.note_judged(task.id, changed)
            try:
                return await self._insist(task, number, model_name, spec, body, sizes, wanted, first)
            except ProviderError as error:
                further = choice.after(model_name)
                if further is None or error.failure is None or error.failure.cls not in MENDED_BY_STRONGER:
                    raise
                reason = f"{model_name}: {error.failure.cls.value}/{error.failure.code}"
                changed = Judged(self._clock.now(), model_name, further, reason)
                model_name, first = further, first + LINES_OF_A_MODEL

    async def _insist(
        self,
        task: Claimed,
        number: int,
        model_name: str,
        spec: Spec,
        body: bytes,
        sizes: tuple[int, int],
        wanted: Wanted,
        first: int = 0,
    ) -> Reply:
        """``first``: the number of its first line in the ledger, within the call's."""
        tries = free = 0
        asked = first
        complaint: Complaint | None = None
        while True:
            admission = await self._dispatcher.admission(model_name, *sizes, task)
            await self._prices.wait()
            model = self._desks.model(model_name)
            assert model is not None, "a call is admitted for a model that is known"
            self._desks.fit(admission, model_name, spec, body, sizes, self._clock.now())
            number_of_call = number * 1000 + asked
            reply = await self._one(task, number_of_call, model, spec, body, sizes, tries, admission, complaint, wanted)
            if reply is None:
                continue  # a budget of the day was used up in between: that is waited for as well
            asked += 1
            self._desks.learn(admission, model_name, spec, sizes, reply)
            failure = reply.failure
            if failure is None:
                return reply
            if failure.cls is FailureClass.ACCOUNT:
                log.error("%s; the task waits", self._desks.pauses())
                continue  # waits for admission until the account is resumed
            down = failure.refused or (failure.outage and not admission.desk.breaker.closed)
            if down and free < FREE_TRIES:
                free += 1
            else:
                tries += 1
            if failure.cls not in (FailureClass.TRANSIENT, FailureClass.OUTPUT) or tries >= spec.max_attempts:
                kept = self._dispatcher.outcomes.to_be_kept(reply).failure
                assert kept is not None
                raise ProviderError(f"{model_name}: {kept.message}", failure=kept)
            if failure.cls is FailureClass.OUTPUT:
                complaint = Complaint.about(model_name, failure.code, failure.message, reply.answer, complaint)
            else:
                await asyncio.sleep(delay_s((), tries, free, failure, self._rng))

    async def _one(
        self,
        task: Claimed,
        call: int,
        model: Model,
        spec: Spec,
        body: bytes,
        sizes: tuple[int, int],
        tried: int,
        admission: Admission,
        complaint: Complaint | None,
        wanted: Wanted,
    ) -> Reply | None:
        """None: not made, since a budget of the day is used up."""
        account = admission.desk.account
        started = self._clock.now()
        size = admission.size
        reserved = None
        if model.input_price is not None and model.output_price is not None:
            reserved = (size.input_tokens * model.input_price + size.output_tokens * model.output_price) / 1e6
        opened = Attempt(
            task_id=task.id,
            fence=task.fence,
            call=call,
            model=model.name,
            account=account.name,
            started_at=started,
            reserved_cost=reserved,
            outcome=None,
            latency=None,
            usage=None,
            input_price=None,
            output_price=None,
            cost=None,
            error=None,
        )
        try:
            began = await self._store.record_call(self._worker, opened, task.run_id, self._dispatcher.limits)
        except BaseException:  # whoever waits for a write may be broken off, the write is made all the same
            admission.desk.release(admission, self._clock.now())
            await self._close(task, opened, Outcome.CANCELLED, cost=0.0)
            raise
        if not began:
            admission.desk.release(admission, self._clock.now())
            self._dispatcher.budget_used_up(task)
            return None
        self._dispatcher.calling += 1
        try:
            return await self._made(task, opened, model, spec, body, sizes, tried, admission, complaint, wanted)
        finally:
            self._dispatcher.calling -= 1
            self._dispatcher.budget_freed()

    async def _made(
        self,
        task: Claimed,
        opened: Attempt,
        model: Model,
        spec: Spec,
        body: bytes,
        sizes: tuple[int, int],
        tried: int,
        admission: Admission,
        complaint: Complaint | None,
        wanted: Wanted,
    ) -> Reply:
        """The call, with its line closed."""
        account = admission.desk.account
        try:
            reply = await self._patience.call(
                account, model, spec, body, cap=model.timeout, tokens=sizes, tried=tried, complaint=complaint
            )
        except BaseException:  # the task's time is up, or its worker breaks off: whether it is charged is not known
            admission.desk.abort(admission, self._clock.now())
            await self._close(task, opened, Outcome.CANCELLED)
            raise
        if reply.output is not None and (fault := _fault(wanted, reply.output)):
            said = answer_text(spec.wire, reply.output)
            reply = dataclasses.replace(reply, output=None, failure=fault, answer=said)
        seen = self._dispatcher.outcomes.to_be_kept(reply)
        admission.desk.settle(admission, seen, self._clock.now())
        self._dispatcher.poke()
        closed = _closed(opened, seen, model)
        self._dispatcher.tallies.add_call(task, closed)
        await self._store.record_call(self._worker, closed, task.run_id)
        return reply

    async def _close(self, task: Claimed, opened: Attempt, outcome: Outcome, cost: float | None = None) -> None:
        latency = self._clock.now() - opened.started_at
        broken = opened._replace(outcome=outcome, latency=latency, cost=cost)
        await self._store.record_call(self._worker, broken, task.run_id)


def _closed(opened: Attempt, reply: Reply, model: Model) -> Attempt:
    failure = reply.failure
    return Attempt(
        task_id=opened.task_id,
        fence=opened.fence,
        call=opened.call,
        model=opened.model,
        account=opened.account,
        started_at=opened.started_at,
        reserved_cost=opened.reserved_cost,
        outcome=_outcome(failure),
        latency=reply.latency,
        usage=reply.usage,
        input_price=model.input_price,
        output_price=model.output_price,
        cost=model.cost(reply.usage) if reply.usage else 0.0 if failure and failure.status else None,
        error=failure.as_json() if failure else None,
    )


def _outcome(failure: Failure | None) -> Outcome:
    if failure is None:
        return Outcome.OK
    if failure.refused:
        return Outcome.RATE_LIMITED
    return Outcome(failure.cls.value) if failure.cls is not FailureClass.POISON else Outcome.LOST


def _fault(wanted: Wanted, output: bytes) -> Failure | None:
    try:
        wanted.read(output)
    except Unusable as error:
        return Failure(FailureClass.OUTPUT, error.code, error.message)
    except CheckBroken as error:
        return Failure(FailureClass.CODE, "check_broken", str(error)[:2000])
    return None
