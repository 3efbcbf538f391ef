"""When a run's loop ends, and how it says why."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from laneway.dispatch.budgets import Budgets, priceless
from laneway.dispatch.desk import DRY, FLOWS_OPEN, NO_MODEL, PAUSED, PRICE_OF, RUN_BUDGET, Blocked
from laneway.dispatch.desks import Desks
from laneway.dispatch.order import Plan
from laneway.dispatch.pauses import how_to_resume
from laneway.store.budgets import Budget, BudgetKind, end_of_day
from laneway.store.cells import Head
from laneway.store.interface import Store
from laneway.task import State, WaitReason

NEVER_ANSWERED_PATIENCE_S = 15.0  # a provider that never answered at all
OUTAGE_PATIENCE_S = 600.0  # one that did
DAY_PATIENCE_S = 60.0  # for the next request of a day whose requests are used up
BY_ITSELF_NEVER = (WaitReason.CHILDREN, WaitReason.EVENT, WaitReason.BUDGET)  # it goes on when something else does
USED_UP = "the budget is used up; the same command goes on with a new one"

log = logging.getLogger(__name__)


class StopReason(StrEnum):
    DONE = "done"
    BUDGET = "budget"
    PRICE = "price"  # a budget a day is on what is left, and no price is known to keep it by
    ACCOUNT = "account"
    LIMIT = "limit"
    UNREACHABLE = "unreachable"
    INTERRUPTED = "interrupted"
    DRAINED = "drained"  # somebody told this worker to end
    STORE = "store"


@dataclass(slots=True)
class Stop:
    """Why the loop ended, in a word and in a sentence."""

    reason: StopReason
    message: str = ""
    until: float | None = None  # when it could go on: the end of the day whose budget is used up


@dataclass(slots=True)
class Scope:
    """What a dispatcher works on: everything in the store, some lanes of it, or one run until it is done."""

    run_id: int | None = None
    budget: bool = False  # the run has a budget: claims may come back short
    shared: bool = False  # other processes work on the run, too
    lanes: frozenset[str] | None = None


class Ending:
    """Asked when nothing runs and nothing could be started."""

    def __init__(self, store: Store, desks: Desks, scope: Scope, budgets: Budgets) -> None:
        self._store = store
        self._desks = desks
        self._scope = scope
        self._budgets = budgets
        self._said = ""  # which pause was reported last
        self._short: Counter[State] | None = None  # what was left when a claim came back empty
        self._freed: Counter[State] | None = None  # what was left when tasks were freed that no budget of ours holds

    async def consider(
        self, heads: Sequence[Head], plan: Plan, now: float, calls: Sequence[Blocked] = (), *, undecided: bool = False
    ) -> Stop | None:
        """Is the work done, or can it not go on? A worker without a run of its own never ends.
        ``calls``: what holds those that running tasks want to make, each of which waits for one.
        ``undecided``: some of it may yet go to another model."""
        if self._scope.run_id is None:
            return None
        if not await self._left(self._scope.run_id):
            return Stop(StopReason.DONE)
        left = await self._left(self._scope.run_id, aside=True)
        if plan.picks:
            return self._after_empty_claim(left, len(calls))
        everything = [*plan.blocked.values(), *calls]
        blocked = [one for one in everything if one.by != FLOWS_OPEN]  # those go on when others do
        over = {one.budget for one in blocked if one.budget}
        held: Mapping[str, int] = {}
        if self._budgets.limits and left[State.WAITING]:
            held = await self._store.held_by_budget(self._scope.run_id)
            strays = [type_ for type_ in held if not self._budgets.is_over(Budget(BudgetKind.TYPE, type_))]
            if strays:
                return await self._free(strays, left, now)
            over.update(Budget(BudgetKind.TYPE, type_) for type_ in held)
        waits: Counter[WaitReason] = Counter()
        if left[State.WAITING]:
            found = await self._store.waiting(self._scope.run_id, aside=True)
            waits.update({one.reason: one.tasks for one in found})
        comes = sum(n for reason, n in waits.items() if reason not in BY_ITSELF_NEVER)
        if undecided or (not blocked and not over):
            if not comes and not everything and waits[WaitReason.EVENT]:
                self._say_events(waits[WaitReason.EVENT])
            return None
        spent = self._scope.budget and any(one.by == RUN_BUDGET for one in calls) and left[State.RUNNING] <= len(calls)
        if not comes and all(one.stuck or (spent and one.by == DRY) for one in blocked):
            if any(one.by == PAUSED for one in blocked):
                return Stop(StopReason.ACCOUNT, self._desks.pauses())
            if none := sorted({one.by.removeprefix(NO_MODEL) for one in blocked if one.by.startswith(NO_MODEL)}):
                why = "; ".join(f"model {name} cannot be called: {self._desks.why_not(name)}" for name in none)
                return Stop(StopReason.ACCOUNT, why)
            if any(one.by == RUN_BUDGET for one in blocked):
                return Stop(StopReason.BUDGET, USED_UP)
            if bare := {one.by.removeprefix(PRICE_OF) for one in blocked if one.by.startswith(PRICE_OF)}:
                return Stop(StopReason.PRICE, priceless(bare))
            if over and not any(one.held for one in blocked):
                return Stop(StopReason.BUDGET, self._budgets.why_stopped(over), until=end_of_day(now))
            self._say_paused(blocked)  # a person's decision: the run waits for the next one
            return None
        if not comes and (stop := self._day_used_up(blocked, now)):
            return stop
        models = (head.model for head in heads if not plan.blocked[head.cell_id].stuck)
        away = self._desks.unreachable(models, now, NEVER_ANSWERED_PATIENCE_S, OUTAGE_PATIENCE_S)
        return Stop(StopReason.UNREACHABLE, away) if away else None

    async def _free(self, types: Sequence[str], left: Counter[State], now: float) -> Stop | None:
        """Tasks that wait for a budget which has something left, by our books: a neighbour with another config put them
        aside, or calls in flight turned out cheaper. Those that come back every time have no price."""
        if not await self._store.release_held(self._budgets.limits, now):
            self._freed = None
            return None
        if self._freed == left:
            return Stop(
                StopReason.PRICE,
                f"the budget of type {', '.join(sorted(types))} needs a price for every model, and tasks that are left"
                " have none; set input_price and output_price of their models, then the same command goes on",
            )
        self._freed = Counter(left)
        return None

    def _after_empty_claim(self, left: Counter[State], held_up: int) -> Stop | None:
        """Of what was admitted nothing could be claimed. With budgets a day it is first seen whether it was one of
        these: then the next round finds the work blocked, or some of it waiting. ``held_up``: of what runs, here, can
        none go on."""
        if not self._scope.budget or left[State.RUNNING] > held_up:  # what others hold of the budget may come free
            return None
        before, self._short = self._short, left
        if self._budgets.limits and (before != left or self._budgets.may_free):
            return None
        return Stop(StopReason.BUDGET, USED_UP)

    def _day_used_up(self, blocked: list[Blocked], now: float) -> Stop | None:
        """All that could go on waits long for a limit of requests a day."""
        going = [one for one in blocked if not one.stuck]
        ends = ": requests_per_day"
        if not going or not all(one.by.endswith(ends) and one.until is not None for one in going):
            return None
        until = min(one.until for one in going if one.until is not None)
        if until <= now + DAY_PATIENCE_S:
            return None
        told = []
        for account in sorted({one.by.removesuffix(ends) for one in going}):
            amount = self._desks.desk(account).limiter.limits()["requests_per_day"]
            told.append(f"account {account} has used up its {amount:,.0f} requests a day")
        minutes = -(-(until - now) // 60)
        wait = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
        return Stop(StopReason.LIMIT, f"{'; '.join(told)}; the next one is free in {wait}", until)

    def _say_paused(self, blocked: list[Blocked]) -> None:
        if (said := how_to_resume(blocked)) != self._said:
            log.warning("everything that is left waits: %s", said)
            self._said = said

    def _say_events(self, flows: int) -> None:
        what = "a flow waits" if flows == 1 else f"{flows:,} flows wait"
        said = f"{what} for an event: `laneway send-event FLOW NAME` tells it"
        if said != self._said:
            run = self._scope.run_id
            log.warning("all that is left waits: %s; `laneway status %s --tree` shows which", said, run)
            self._said = said

    async def _left(self, run_id: int, *, aside: bool = False) -> Counter[State]:
        """How many of the run's tasks have not ended, by state. ``aside``: with what its flows began."""
        left: Counter[State] = Counter()
        for cell in await self._store.tally(run_id, aside=aside):
            left.update({state: n for state, n in cell.counts.items() if n and not state.ended})
        return left
