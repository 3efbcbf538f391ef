"""Pausing, limits and draining, for whoever asks: a page or a program. That they may is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from laneway.app.setting_limits import set_limits
from laneway.app.steering import check_place, drain_worker
from laneway.server.audit import Audit
from laneway.server.caller import Caller
from laneway.store.steering import PauseKind

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


async def hold(lw: Laneway, audit: Audit, caller: Caller, kind: PauseKind, name: str, *, paused: bool) -> bool:
    """Whether that changed anything. Raises NotFoundError."""
    await check_place(lw, kind, name)
    do = lw.store.pause if paused else lw.store.resume
    changed = await do(kind, name, lw.clock.now())
    lw.poke()
    await audit.record(caller, f"{kind}.{'pause' if paused else 'resume'}", name)
    return changed


async def limit(
    lw: Laneway, audit: Audit, caller: Caller, kind: PauseKind, name: str, changes: Mapping[str, float | None]
) -> None:
    """None gives the config's back. Raises NotFoundError, UsageError."""
    await set_limits(lw, kind, name, changes, caller.name)
    await audit.record(caller, f"{kind}.limits", name, changes)


async def drain(lw: Laneway, audit: Audit, caller: Caller, worker: str) -> None:
    """Raises NotFoundError."""
    await drain_worker(lw, worker, caller.name)
    await audit.record(caller, "worker.drain", worker)
