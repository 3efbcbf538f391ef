"""How long a call is waited for: by what such calls take, and by how its neighbours fare."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Callable
from typing import Protocol

from laneway.dispatch.latency import FLOOR_S, Group, Latencies, Usual
from laneway.dispatch.tempo import Tempo, Tempos, far_s
from laneway.dispatch.time_limit import duration
from laneway.providers.answers.complaints import Complaint
from laneway.providers.failures import timed_out
from laneway.providers.model import Account, Model, Reply
from laneway.providers.streams.follow import Listener
from laneway.task import Spec

MORE_TIME = 4.0  # times as long for the next try: a task that is honestly long is broken off twice at most
MANY_SLOW = 0.25  # of those that went on beside it: then the provider is slow, and this call is no straggler
HUNG = 4.0  # times the limit at most, where nobody is answered any more


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
        listener: Listener | None = None,
    ) -> Reply: ...


class Line:
    """The calls to one model on one account."""

    def __init__(self, tempo: Tempo) -> None:
        self.tempo = tempo  # of the model
        self.waits: set[Wait] = set()
        self.prompt = 0  # answers so far that took no longer than is usual
        self.slow = 0  # and that did
        self.answered_at = -math.inf  # by the loop's clock


class Wait:
    """One call that is waited for."""

    def __init__(self, line: Line, cap: float, usual: Callable[[], Usual | None], times: float) -> None:
        """``usual``: what is known of such calls by now. ``times``: how much more patience this one deserves."""
        self._loop = asyncio.get_running_loop()
        self._line = line
        self._cap = cap
        self._usual = usual
        self._times = times
        self._began = self._loop.time()
        self._before = (line.prompt, line.slow)
        known = usual()
        self._slow_s = known.slow if known else cap
        self._limit = times * (known.limit if known else FLOOR_S)
        self._far_s = far_s(known.median) if known else math.inf
        self.is_far = False  # it was seen to take far longer than usual
        self._timer: asyncio.TimerHandle | None = None
        self.scope = asyncio.timeout(None)

    def begin(self) -> None:
        self._line.waits.add(self)
        self._line.tempo.in_flight += 1
        self._arm()

    def end(self) -> None:
        self._line.waits.discard(self)
        self._line.tempo.in_flight -= 1
        if self._timer is not None:
            self._timer.cancel()

    @property
    def seconds(self) -> float:
        return self._loop.time() - self._began

    @property
    def is_silent(self) -> bool:
        """Nobody was answered in the later half of its time."""
        return self._loop.time() - self._line.answered_at > self.seconds / 2

    @property
    def is_slow(self) -> bool:
        return self.seconds > self._slow_s

    def _arm(self) -> None:
        """At the cap the client ends the call by itself."""
        self._timer = None
        if not self.is_far and self._far_s < self._limit and self._far_s < self._cap:
            self._timer = self._loop.call_at(self._began + self._far_s, self._is_far)
        elif self._limit < self._cap:
            self._timer = self._loop.call_at(self._began + self._limit, self._is_up)

    def _is_far(self) -> None:
        known = self._usual()
        self._line.tempo.took(self._far_s, known.median if known else None)
        self.is_far = True
        self._arm()

    def _is_up(self) -> None:
        """Wait longer where that is wise, else break off. What is usual may be known only now."""
        known = self._usual()
        before = self._limit
        if known is None:
            self._limit = 2 * before
        else:
            self._slow_s = known.slow
            own = self._times * known.limit
            self._limit = own if own > before else self._longer(own)
        if self._limit > before:
            self._arm()
        else:
            self.scope.reschedule(self._loop.time())

    def _longer(self, own: float) -> float:
        """A limit beyond the one that has passed, or that one. Where many are slow, beside this call or before it, the
        provider is busy, and to break all of them off and ask again would only make it worse."""
        line = self._line
        prompt, slow = line.prompt - self._before[0], line.slow - self._before[1]
        waiting = sum(wait.is_slow for wait in line.waits if wait is not self)
        if slow + waiting <= MANY_SLOW * (prompt + slow + waiting) and not line.tempo.is_slow:
            return self._limit
        return min(HUNG * own if self.is_silent else self._cap, 2 * self._limit)


class Patience:
    """Makes calls with the wait that suits them."""

    def __init__(self, caller: Caller, latencies: Latencies, tempos: Tempos) -> None:
        self._caller = caller
        self._latencies = latencies
        self._tempos = tempos
        self._lines: dict[tuple[str, str], Line] = {}

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
        listener: Listener | None = None,
    ) -> Reply:
        """``cap``: seconds beyond which it is never waited. ``tokens``: estimates, in and out. ``tried``: how often the
        task was tried before; in its last try, and where somebody follows the answer, it has all the time that the cap
        gives."""
        group = Group(model.name, account.name, spec.type)
        line = self._lines.get((model.name, account.name))
        if line is None:
            line = self._lines[model.name, account.name] = Line(self._tempos[model.name])
        times = math.inf if tried + 1 >= spec.max_attempts or listener is not None else MORE_TIME**tried
        wait = Wait(line, cap, lambda: self._latencies.usual(group, *tokens), times)
        wait.begin()
        try:
            async with wait.scope:
                reply = await self._caller.call(
                    account, model, spec, body, timeout=cap, complaint=complaint, listener=listener
                )
        except TimeoutError:
            if not wait.scope.expired():
                raise
            reply = Reply(None, None, timed_out(round(wait.seconds)), wait.seconds)
        finally:
            wait.end()
        return self._learn(reply, group, tokens, line, wait)

    def _learn(self, reply: Reply, group: Group, tokens: tuple[int, int], line: Line, wait: Wait) -> Reply:
        """Where nobody was answered in the meantime, a timeout says nothing of such calls."""
        usual, failure = self._latencies.usual(group, *tokens), reply.failure
        if failure is None:
            if usual is not None and reply.latency > usual.slow:
                line.slow += 1
            else:
                line.prompt += 1
            line.answered_at = asyncio.get_running_loop().time()
            line.tempo.took(reply.latency, usual.median if usual else None, counted=wait.is_far)
            self._latencies.answered(group, *tokens, reply.latency, line.tempo.weight)
        elif failure.code == "timeout":
            if not wait.is_silent and (usual is None or reply.latency >= usual.slow):  # else the task's own time was up
                self._latencies.broken_off(group, *tokens, reply.latency, line.tempo.weight)
            if usual is not None:
                words = f"{failure.message} (usual {duration(usual.median)})"
                return dataclasses.replace(reply, failure=dataclasses.replace(failure, message=words))
        return reply
