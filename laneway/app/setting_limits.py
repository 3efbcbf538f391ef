"""Setting limits of lanes and accounts while work goes on: checked, and kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from laneway.app.live_limits import SETTABLE, configured_limits
from laneway.app.steering import check_place
from laneway.errors import UsageError
from laneway.store.live_limits import STATE
from laneway.store.steering import PauseKind

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


async def set_limits(lw: Laneway, kind: PauseKind, name: str, changes: Mapping[str, float | None], by: str) -> None:
    """Set some limits of a lane or account, by their names in the config; None gives the config's back. All workers go
    by them within a second, also after a restart. Raises UsageError above what the config states for an account: that
    is what its provider permits. A lane's may be raised, since it only parts what accounts permit."""
    await check_place(lw, kind, name)
    configured = configured_limits(lw.config, kind, name)
    for limit, value in changes.items():
        if limit not in SETTABLE[kind]:
            raise UsageError(f"a {kind} has no limit {limit!r}", hint=f"it has {', '.join(SETTABLE[kind])}")
        ceiling = configured.get(limit)
        if kind is PauseKind.ACCOUNT and limit != "weight" and ceiling and value and value > ceiling:
            raise UsageError(
                f"the config says that account {name} has {limit} = {ceiling:g}; it can only be lowered here",
                hint="raise it in laneway.toml, if its provider permits more",
            )
    now, place = lw.clock.now(), f"{STATE}{kind}:{name}"
    known = await lw.store.load_state(place)
    kept = {limit: value for limit, value in (known[0] if known else {}).items() if limit in SETTABLE[kind]}
    values = {limit: value for limit, value in {**kept, **changes}.items() if value is not None}
    await lw.store.save_state(place, {**values, "by": by, "at": now}, now)
    lw.poke()
