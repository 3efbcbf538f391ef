"""From admissions to running tasks: claim exactly what was admitted, and give back what was not needed."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from laneway.clock import Clock
from laneway.dispatch.budgets import Budgets
from laneway.dispatch.desk import Admission
from laneway.dispatch.desks import Desks
from laneway.dispatch.detours import Detours
from laneway.dispatch.order import Plan
from laneway.dispatch.retry import stronger
from laneway.dispatch.settler import Settler
from laneway.store.cells import Pick
from laneway.store.interface import Store
from laneway.task import Claimed, Outcome, Settlement, State

Start = Callable[[Claimed, Admission | None, asyncio.AbstractEventLoop], None]
Place = tuple[int, str]  # cell, account


class Claiming:
    """Every admission that comes in becomes a task's (``start``) or goes back. ``wake``: there may be more to do."""

    def __init__(
        self,
        store: Store,
        worker: str,
        clock: Clock,
        desks: Desks,
        budgets: Budgets,
        settler: Settler,
        detours: Detours,
        start: Start,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._desks = desks
        self._budgets = budgets
        self._settler = settler
        self._detours = detours
        self._start = start
        self._wake = wake

    async def claim(self, plan: Plan, now: float) -> list[Claimed]:
        """What is planned, running."""
        try:
            await self._detours.take(plan, now)
        except BaseException:
            self._release(plan.picks)
            raise
        waiting: dict[Place, list[Admission]] = defaultdict(list)
        counts: Counter[Place] = Counter()
        for cell_id, admissions in plan.picks.items():
            for admission in admissions:
                place = cell_id, admission.desk.name if admission else ""
                counts[place] += 1
                if admission:
                    waiting[place].append(admission)
        if not counts:
            return []
        picks = [self.pick(cell_id, plan.models[cell_id], account, n) for (cell_id, account), n in counts.items()]
        return await self.ask(picks, waiting, now)

    def ask(
        self, picks: Sequence[Pick], waiting: Mapping[Place, list[Admission]], now: float
    ) -> Coroutine[None, None, list[Claimed]]:
        """Claim these for the admissions that wait for them. The store is asked with the call (``in_order``), not when
        it is awaited; awaited, they run."""
        try:
            claiming = self._store.claim(self._worker, picks, now, self._budgets.limits)
        except BaseException:
            self._release(waiting)
            raise
        return self._take(claiming, waiting, now)

    async def _take(
        self, claiming: Awaitable[list[Claimed]], waiting: Mapping[Place, list[Admission]], now: float
    ) -> list[Claimed]:
        try:
            claimed = await claiming
        except BaseException:
            self._release(waiting)
            raise
        loop = asyncio.get_running_loop()  # asking is a system call
        if self._clock.now() >= self._desks.lease_until():  # it took so long that others may have them by now
            self._put_back(claimed)
            self._release(waiting)
            return []
        for task in claimed:
            queue = waiting.get((task.cell_id, task.account))
            admission = queue.pop(0) if queue else None
            if admission and self._desks.fit(admission, task.model, task.spec, task.body, task.tokens, now):
                self._wake()  # less than was reserved: the next one may go at once
            self._detours.claimed(task)
            self._start(task, admission, loop)
        self._release(waiting)
        await self._desks.prepare(set(filter(None, map(stronger, claimed))), now)
        return claimed

    def _put_back(self, claimed: Sequence[Claimed]) -> None:
        """Those were not begun."""
        now = self._clock.now()
        for task in claimed:
            self._settler.add(
                task,
                Settlement(
                    task.id, task.fence, State.READY, Outcome.CANCELLED, now, 0.0, cost=0.0, burned=False, counted=False
                ),
            )

    def pick(self, cell_id: int, model_name: str, account: str, n: int) -> Pick:
        model = self._desks.model(model_name)
        return Pick(cell_id, n, account, model.input_price, model.output_price) if model else Pick(cell_id, n, account)

    def _release(self, waiting: Mapping[Any, Sequence[Admission | None]]) -> None:
        for admissions in waiting.values():
            for admission in admissions:
                if admission is not None:
                    admission.desk.release(admission, self._clock.now())
