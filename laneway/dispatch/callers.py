"""Running tasks that wait to make calls of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from laneway.dispatch.budgets import Budgets
from laneway.dispatch.desk import RUN_BUDGET, Admission, Blocked
from laneway.dispatch.desks import Desks
from laneway.dispatch.order import Key, Plan
from laneway.errors import BudgetError, NotFoundError
from laneway.store.cells import Head
from laneway.task import Claimed

SPENT_S = 1.0  # after which a run's budget that had nothing left for a call is asked again


class _Caller:
    def __init__(self, task: Claimed, model: str, input_tokens: int, output_tokens: int) -> None:
        self.task = task
        self.key: Key = (model, task.lane, task.urgency)
        self.size = (task.due_at, input_tokens, output_tokens)
        self.granted: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()


class Callers:
    """Such a call stands in the order where its task stood: nothing that is less urgent goes before it, nor it before
    what is more so. Its task has a slot already. ``arrived`` is called for each."""

    def __init__(self, desks: Desks, arrived: Callable[[], None]) -> None:
        self._desks = desks
        self._arrived = arrived
        self._waiting: list[_Caller] = []
        self.seen: list[Head] = []  # who waited in the last round
        self._over: dict[_Caller, Blocked] = {}  # those of them whose budget is used up
        self._spent: dict[int, float] = {}  # runs whose budget had nothing left for a call; believed until then

    def places(self) -> set[tuple[str, str]]:
        """The (model, lane) pairs that are waited for."""
        return {caller.key[:2] for caller in self._waiting}

    async def admission(self, model: str, input_tokens: int, output_tokens: int, task: Claimed) -> Admission:
        """Wait until the call may start. Raises NotFoundError for a model that is not known."""
        caller = _Caller(task, model, input_tokens, output_tokens)
        self._waiting.append(caller)
        self._arrived()
        try:
            return await caller.granted
        except asyncio.CancelledError:
            if caller.granted.done() and not caller.granted.cancelled():
                caller.granted.result().desk.release(caller.granted.result(), self._desks.now())
            raise
        finally:
            if caller in self._waiting:
                self._waiting.remove(caller)

    def used_up(self, run_id: int) -> None:
        """The run's budget has nothing left for a call."""
        self._spent[run_id] = self._desks.now() + SPENT_S

    def freed(self) -> None:
        """A call ended, and may have cost less than it held of a budget."""
        self._spent.clear()

    def held_up(self, plan: Plan, task_ids: Collection[int]) -> list[Blocked] | None:
        """What holds the calls of all these tasks, where each waits for one that only a person, a new budget or another
        day lets go. None: one of them may go on. After ``take``."""
        waiting = {caller.task.id for caller in self._waiting}
        if not waiting.issuperset(task_ids):
            return None
        why = [self._over.get(caller) or plan.calls_blocked.get(caller.key) for caller in self._waiting]
        found = [blocked for blocked in why if blocked is not None and blocked.stuck]
        return found if len(found) == len(why) else None

    def heads(self, budgets: Budgets) -> list[Head]:
        """Who waits, as the order sees it. Who waits for a model that is not known is told so. The models of
        ``places()`` are prepared. Whose budget is used up waits on, in nobody's way."""
        self._waiting = [caller for caller in self._waiting if not caller.granted.done()]  # not who was broken off
        for caller in [caller for caller in self._waiting if self._desks.model(caller.key[0]) is None]:
            name = caller.key[0]
            why = self._desks.why_not(name)
            said = f"model {name!r} cannot be called: {why}" if why else f"there is no model {name!r}"
            caller.granted.set_exception(NotFoundError(said))
            self._waiting.remove(caller)
        if budgets.limits or self._spent or self._over:
            self._look_at(budgets)
        self._waiting.sort(key=lambda caller: caller.size[0])
        sizes: dict[Key, list[tuple[float, int, int]]] = {}
        for caller in self._going():
            sizes.setdefault(caller.key, []).append(caller.size)
        self.seen = [Head(0, 0, *key, len(found), tuple(found)) for key, found in sizes.items()]
        return self.seen

    def _look_at(self, budgets: Budgets) -> None:
        """Who has to wait for a budget does; who could never be counted is told so."""
        self._over = {}
        now = self._desks.now()
        for caller in list(self._waiting):
            model, lane, type_ = self._desks.model(caller.key[0]), caller.task.lane, caller.task.spec.type
            assert model is not None, "others are gone"
            if budgets.unkept(model, lane, type_):
                hint = f"set input_price and output_price under [models.{model.name}]"
                why = f"there is no price for model {model.name}, which a budget_per_day of its task needs: {hint}"
                caller.granted.set_exception(BudgetError(why, hint=hint))
                self._waiting.remove(caller)
            elif blocked := budgets.of_place(model, lane, type_):
                self._over[caller] = blocked
            elif now < self._spent.get(caller.task.run_id, now):
                self._over[caller] = Blocked(self._spent[caller.task.run_id], RUN_BUDGET)

    def _going(self) -> list[_Caller]:
        return [caller for caller in self._waiting if caller not in self._over] if self._over else self._waiting

    def take(self, plan: Plan, *, stopping: bool) -> None:
        """Let those go that the plan of these ``heads`` admits. ``stopping``: who might never go on is broken off, its
        task goes back to the queue."""
        for key, admissions in plan.calls.items():
            going = [caller for caller in self._going() if caller.key == key]
            for caller, admission in zip(going, admissions, strict=False):
                caller.granted.set_result(admission)
                self._waiting.remove(caller)
        for key, blocked in plan.calls_blocked.items():
            if stopping and blocked.stuck:
                for caller in [caller for caller in self._waiting if caller.key == key]:
                    caller.granted.cancel()
        for caller in self._over if stopping else ():
            caller.granted.cancel()
