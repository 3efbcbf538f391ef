"""What each team has spent today, for tokens with a budget a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laneway.server.caller import Caller
from laneway.server.envelopes import Refusal
from laneway.store.budgets import DAY_S, clock, day_of, end_of_day, usd
from laneway.store.tallies import HOUR_S, TallyKind

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

FRESH_S = 2.0  # as often as workers write down what calls cost


class Purses:
    def __init__(self, lw: Laneway) -> None:
        self._lw = lw
        self._spent: dict[str | None, tuple[float, float]] = {}  # (when it was looked up, USD), by team

    async def check(self, caller: Caller) -> None:
        """Raises Refusal where the caller's team has spent what the token allows: until the day ends, in UTC."""
        if caller.daily_budget is None:
            return
        now = self._lw.clock.now()
        spent = await self._of(caller.team, now)
        if spent < caller.daily_budget:
            return
        until = end_of_day(now)
        message = (
            f"the budget of the token {caller.name!r} is used up: {usd(spent)} of {usd(caller.daily_budget)} today;"
            f" there is a new one at {clock(until)}"
        )
        raise Refusal(429, message, "insufficient_quota", "daily_budget", retry_after=until - now)

    async def _of(self, team: str | None, now: float) -> float:
        at, spent = self._spent.get(team, (float("-inf"), 0.0))
        if now - at >= FRESH_S or day_of(at) != day_of(now):
            day = day_of(now) * float(DAY_S)
            found = await self._lw.store.tallies(TallyKind.ALL, day, day + DAY_S, span=HOUR_S, team=team, whole=True)
            spent = sum(tally.cost for tally in found)
            self._spent[team] = (now, spent)
        return spent
