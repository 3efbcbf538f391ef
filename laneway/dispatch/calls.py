"""Carrying out a claimed model task: one call, its answer checked."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Protocol

from laneway.dispatch.desk import Admission
from laneway.dispatch.desks import Desks
from laneway.providers.model import Account, Model, Reply
from laneway.task import Claimed, Failure, Spec


class Caller(Protocol):
    """What is needed of ``laneway.providers.client.Client``; a fake is three lines."""

    async def call(
        self, account: Account, model: Model, spec: Spec, body: bytes, *, timeout: float, complaint: str | None = None
    ) -> Reply: ...


class Check(Protocol):
    def __call__(self, spec: Spec, output: bytes) -> Failure | None: ...


class ModelCalls:
    """Executes tasks whose body is a model request."""

    def __init__(self, caller: Caller, desks: Desks, check: Check, prices: asyncio.Event) -> None:
        self._prices = prices  # set when prices are known: before that, nothing is settled
        self._caller = caller
        self._desks = desks
        self._check = check

    async def __call__(self, task: Claimed, admission: Admission | None) -> Reply:
        assert admission is not None, "a model task is claimed for an account"
        model = self._desks.model(task.model)
        assert model is not None, "a task is admitted for a model that is known"
        timeout = task.spec.timeout or model.timeout
        account = admission.desk.account
        reply = await self._caller.call(account, model, task.spec, task.body, timeout=timeout, complaint=task.complaint)
        await self._prices.wait()
        if reply.output is not None and (fault := self._check(task.spec, reply.output)):
            return dataclasses.replace(reply, output=None, failure=fault)
        return reply
