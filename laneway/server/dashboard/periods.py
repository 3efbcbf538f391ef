"""How far back a page looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from laneway.store.tallies import HOUR_S, MINUTE_S, Tally, TallyKind

if TYPE_CHECKING:
    from laneway.store.interface import Store
    from laneway.store.teams import OfTeam


class Period(NamedTuple):
    """``span``: of the figures that it is put together from."""

    name: str
    said: str
    seconds: float
    span: int

    async def tallies(self, store: Store, kind: TallyKind, now: float, team: OfTeam) -> list[Tally]:
        """One for each name, of all that time and what has begun of the present span."""
        since = now // self.span * self.span - self.seconds + self.span
        return await store.tallies(kind, since, now + 1, span=self.span, team=team, whole=True)


PERIODS = (
    Period("hour", "last hour", 3600.0, MINUTE_S),
    Period("day", "last 24 hours", 86_400.0, HOUR_S),
    Period("month", "last 30 days", 30 * 86_400.0, HOUR_S),
)


def period_of(query: Mapping[str, str]) -> Period:
    return next((period for period in PERIODS if period.name == query.get("period")), PERIODS[0])
