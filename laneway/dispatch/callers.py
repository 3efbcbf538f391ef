"""Running tasks that wait to make calls of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from laneway.dispatch.desk import Admission
from laneway.dispatch.desks import Desks
from laneway.dispatch.order import Measure
from laneway.errors import NotFoundError
from laneway.task import Claimed, Urgency


class _Caller:
    def __init__(
        self, urgency: Urgency, due_at: float, model: str, input_tokens: int, output_tokens: int, lane: str
    ) -> None:
        self.rank = (urgency, due_at)
        self.model = model
        self.sizes = (input_tokens, output_tokens)
        self.lane = lane
        self.granted: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()


class Callers:
    """Such calls go before new tasks: their task holds a slot already. ``arrived`` is called for each."""

    def __init__(self, desks: Desks, measure: Measure, arrived: Callable[[], None]) -> None:
        self._desks = desks
        self._measure = measure
        self._arrived = arrived
        self._waiting: list[_Caller] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def admission(self, model: str, input_tokens: int, output_tokens: int, task: Claimed) -> Admission:
        """Wait until the call may start. Raises NotFoundError for a model that is not known."""
        caller = _Caller(task.urgency, task.submitted_at, model, input_tokens, output_tokens, task.lane)
        self._waiting.append(caller)
        self._arrived()
        try:
            return await caller.granted
        except asyncio.CancelledError:
            if caller.granted.done() and not caller.granted.cancelled():
                caller.granted.result().desk.release(caller.granted.result())
            raise
        finally:
            if caller in self._waiting:
                self._waiting.remove(caller)

    async def serve(self, now: float, *, stopping: bool) -> float | None:
        """Admit what may start, the most urgent first. Returns when a blocked one may be asked again. ``stopping``:
        who might never go on is broken off, its task goes back to the queue."""
        await self._desks.prepare({(caller.model, caller.lane) for caller in self._waiting}, now)
        again: float | None = None
        for caller in sorted(self._waiting, key=lambda caller: caller.rank):
            if self._desks.model(caller.model) is None:
                caller.granted.set_exception(NotFoundError(f"there is no model {caller.model!r}"))
                self._waiting.remove(caller)
                continue
            answer = self._desks.admit(caller.model, self._measure(caller.model, *caller.sizes), now)
            if isinstance(answer, Admission):
                caller.granted.set_result(answer)
                self._waiting.remove(caller)
            elif stopping and (answer.held or answer.by == "paused"):
                caller.granted.cancel()
            elif answer.until is not None:
                again = answer.until if again is None else min(again, answer.until)
        return again
