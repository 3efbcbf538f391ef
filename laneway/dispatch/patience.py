"""How long a call is waited for: by what such calls take, and by how its neighbours fare."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from typing import Protocol

from laneway.dispatch.latency import Group, Latencies, Usual
from laneway.providers.answers.complaints import Complaint
from laneway.providers.failures import timed_out
from laneway.providers.model import Account, Model, Reply
from laneway.task import Spec

MORE_TIME = 4.0  # times as long for the next try: a task that is honestly long is broken off twice at most
MANY_SLOW = 0.25  # of those that went on beside it: then the provider is slow, and this call is no straggler
HUNG = 4.0  # times the limit, where nobody was answered in all that time


class Caller(Protocol):
    """What is needed of ``laneway.providers.client.Client``; a fake is three lines."""

    async def call(
        self,
        account: Account,
        model: Model,
        spec: Spec,
        body: bytes,
        *,
        timeout: float,
        complaint: Complaint | None = None,
    ) -> Reply: ...


class Line:
    """The calls to one model on one account."""

    def __init__(self) -> None:
        self.waits: set[Wait] = set()
        self.prompt = 0  # answers so far that took no longer than is usual
        self.slow = 0  # and that did


class Wait:
    """One call that is waited for."""

    def __init__(self, line: Line, limit: float, cap: float, slow: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._line = line
        self._first = self.limit = limit
        self._cap = cap
        self._began = self._loop.time()
        self._slow_s = slow
        self._before = (line.prompt, line.slow)
        self._timer: asyncio.TimerHandle | None = None
        self.scope = asyncio.timeout(None)

    def begin(self) -> None:
        self._line.waits.add(self)
        self._arm()

    def end(self) -> None:
        self._line.waits.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    @property
    def seconds(self) -> float:
        return self._loop.time() - self._began

    @property
    def is_slow(self) -> bool:
        return self.seconds > self._slow_s

    def _arm(self) -> None:
        """At the cap the client ends the call by itself."""
        self._timer = None
        if self.limit < self._cap:
            self._timer = self._loop.call_at(self._began + self.limit, self._is_up)

    def _is_up(self) -> None:
        if (longer := self._longer()) > self.limit:
            self.limit = longer
            self._arm()
        else:
            self.scope.reschedule(self._loop.time())

    def _longer(self) -> float:
        """A limit beyond the one that has passed, or that one. Where many are slow beside this call, the provider is
        busy, and to break all of them off and ask again would only make it worse."""
        line = self._line
        prompt, slow = line.prompt - self._before[0], line.slow - self._before[1]
        waiting = sum(wait.is_slow for wait in line.waits if wait is not self)
        if slow + waiting <= MANY_SLOW * (prompt + slow + waiting):
            return self.limit
        most = self._cap if prompt + slow else min(self._cap, HUNG * self._first)
        return min(most, 2 * self.limit)


class Patience:
    """Makes calls with the wait that suits them."""

    def __init__(self, caller: Caller, latencies: Latencies) -> None:
        self._caller = caller
        self._latencies = latencies
        self._lines: defaultdict[tuple[str, str], Line] = defaultdict(Line)

    async def call(
        self,
        account: Account,
        model: Model,
        spec: Spec,
        body: bytes,
        *,
        cap: float,
        tokens: tuple[int, int],
        tried: int,
        complaint: Complaint | None = None,
    ) -> Reply:
        """``cap``: seconds beyond which it is never waited. ``tokens``: estimates, in and out. ``tried``: how often the
        task was tried before; in its last try it has all the time that the cap gives."""
        group = Group(model.name, account.name, spec.type)
        usual = self._latencies.usual(group, *tokens)
        last = tried + 1 >= spec.max_attempts
        limit = cap if usual is None or last else min(cap, usual.limit * MORE_TIME**tried)
        line = self._lines[model.name, account.name]
        wait = Wait(line, limit, cap, usual.slow if usual else cap)
        wait.begin()
        try:
            async with wait.scope:
                reply = await self._caller.call(account, model, spec, body, timeout=cap, complaint=complaint)
        except TimeoutError:
            if not wait.scope.expired():
                raise
            reply = Reply(None, None, timed_out(wait.limit), wait.seconds)
        finally:
            wait.end()
        return self._learn(reply, group, tokens, usual, line)

    def _learn(self, reply: Reply, group: Group, tokens: tuple[int, int], usual: Usual | None, line: Line) -> Reply:
        failure = reply.failure
        if failure is None:
            if usual is not None and reply.latency > usual.slow:
                line.slow += 1
            else:
                line.prompt += 1
            self._latencies.answered(group, *tokens, reply.latency)
        elif failure.code == "timeout":
            self._latencies.broken_off(group, *tokens, reply.latency)
            if usual is not None:
                words = f"{failure.message} (usual {seconds(usual.median)})"
                return dataclasses.replace(reply, failure=dataclasses.replace(failure, message=words))
        return reply


def seconds(value: float) -> str:
    """``0.3 s``, ``2 s``, ``14 s``."""
    return f"{value:.1g} s" if value < 1 else f"{value:.0f} s"
