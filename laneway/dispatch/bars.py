"""Where nothing is claimed now, whatever the accounts admit: in paused lanes and runs, and where a budget is used up,
the day's or the run's."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from laneway.clock import Clock
from laneway.dispatch.budgets import Budgets
from laneway.dispatch.desk import DRY, Blocked
from laneway.dispatch.desks import Desks
from laneway.dispatch.pauses import EVERY_S, Pauses
from laneway.store.cells import Head
from laneway.store.interface import Store

DRY_S = 1.0  # after which a cell that gave nothing is tried again

log = logging.getLogger(__name__)


class Bars:
    """As the store said at the last ``look``."""

    def __init__(self, store: Store, clock: Clock, desks: Desks, budgets: Budgets) -> None:
        self._store = store
        self._clock = clock
        self._desks = desks
        self._budgets = budgets
        self._pauses = Pauses()
        self._pauses_at = 0.0  # when to look at them next
        self._dry: dict[int, tuple[Head, float]] = {}  # by cell: the head that gave nothing; believed until then
        desks.held = self._pauses.account
        desks.over = budgets.of_account

    async def look(self) -> None:
        """What runs goes on to its end; nothing new starts in a paused lane or run, no call on a paused account."""
        if self._clock.now() >= self._pauses_at:
            self._pauses_at = self._clock.now() + EVERY_S
            news, resumed = self._pauses.update(await self._store.pauses())
            for sentence in news:
                log.info(sentence)
            for account in resumed:
                self._desks.forgive(account)
        if self._budgets.limits:
            now = self._clock.now()
            used_up, again = self._budgets.update(await self._store.spending(now), now)
            for sentence in used_up:
                log.warning(sentence)
            for sentence in again:
                log.info(sentence)

    def of(self, head: Head, now: float) -> Blocked | None:
        """What bars this cell."""
        over = self._budgets.of_place(self._desks.model(head.model), head.lane)
        return self._pauses.of(head) or over or self._is_dry(head, now)

    def paused(self, head: Head) -> bool:
        return self._pauses.of(head) is not None

    @property
    def of_single_runs(self) -> bool:
        """Whether some cell may be barred that stands before others of its model, lane and urgency."""
        return self._pauses.of_runs or bool(self._dry)

    def gave(self, cells: Collection[int], asked: Iterable[Head], now: float) -> None:
        """These cells gave something when they were claimed from, the other ones that were ``asked`` nothing."""
        dry = {head.cell_id: (head, now + DRY_S) for head in asked if head.cell_id not in cells}
        self._dry = {cell: kept for cell, kept in self._dry.items() if now < kept[1]} | dry

    def freed(self, cells: Iterable[int]) -> None:
        """Tasks of these cells ended, and may have cost less than they held of a budget."""
        for cell_id in cells if self._dry else ():
            self._dry.pop(cell_id, None)

    def _is_dry(self, head: Head, now: float) -> Blocked | None:
        """Whether this very head gave nothing when it was claimed from, a moment ago: its run's budget is used up. It
        must not take the turns of others."""
        seen, until = self._dry.get(head.cell_id, (None, 0.0))
        return Blocked(until, DRY) if seen is head and now < until else None
