"""The audit log: what was changed through the service, and by whom."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.errors import StoreError
from laneway.server.caller import Caller
from laneway.store.teams import ALL
from laneway.store.tokens import Deed

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

LONGEST = 500  # characters of what something was done to: names are users' data
SWEEPS_S = 3600.0  # between looks for what is older than is kept
AT_ONCE = 1_000  # in one transaction

log = logging.getLogger(__name__)


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

    async def sweep(self) -> None:
        """Let go of what is older than is kept."""
        before = self._lw.clock.now() - self._lw.config.server.keep_audit
        while await self._lw.store.forget_deeds(before, AT_ONCE) == AT_ONCE:
            pass

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[None]:
        """Sweep now, and every so often for the length of the block."""
        await self.sweep()
        working = asyncio.ensure_future(self._sweep_again())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.wait([working])

    async def _sweep_again(self) -> None:
        while True:
            await asyncio.sleep(SWEEPS_S)
            try:
                await self.sweep()
            except StoreError as error:
                log.warning("audit log: %s", error.message)
