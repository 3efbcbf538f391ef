"""The audit log: what was changed through the service, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.server.caller import Caller
from laneway.store.teams import ALL
from laneway.store.tokens import Deed

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

LONGEST = 500  # characters of what something was done to: names are users' data


class AuditPage(NamedTuple):
    """``next``: the cursor of what comes behind it; None: nothing does."""

    deeds: list[Deed]
    next: int | None


class Audit:
    def __init__(self, lw: Laneway) -> None:
        self._lw = lw

    async def record(self, caller: Caller, action: str, what: str, detail: Mapping[str, Any] | None = None) -> None:
        """``action``: a verb and its kind, as ``lane.pause``; ``what``: which one; ``detail``: what JSON can carry, no
        content of tasks. To be called when it was done."""
        now = self._lw.clock.now()
        await self._lw.store.record(Deed(now, caller.name, caller.team, action, what[:LONGEST], detail or {}))

    async def page(self, caller: Caller, cursor: int | None = None, limit: int = 50) -> AuditPage:
        """The newest first. A caller of a team sees what its team did."""
        team = ALL if caller.sees_all else caller.team
        found = await self._lw.store.deeds(cursor, limit + 1, team=team)
        return AuditPage(found[:limit], found[limit - 1].id if len(found) > limit else None)
