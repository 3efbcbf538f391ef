"""Pausing and resuming, for whoever asks: a page or a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laneway.app.steering import check_place
from laneway.server.audit import Audit
from laneway.server.caller import Caller
from laneway.store.steering import PauseKind

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


async def hold(lw: Laneway, audit: Audit, caller: Caller, kind: PauseKind, name: str, *, paused: bool) -> bool:
    """Whether that changed anything. The caller's right to it is known. Raises NotFoundError."""
    await check_place(lw, kind, name)
    do = lw.store.pause if paused else lw.store.resume
    changed = await do(kind, name, lw.clock.now())
    lw.poke()
    await audit.record(caller, f"{kind}.{'pause' if paused else 'resume'}", name)
    return changed
