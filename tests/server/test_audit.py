"""The audit log: how long it is known what somebody changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from laneway.server.audit import AT_ONCE, Audit
from laneway.store.tokens import Deed
from tests.server.door import Door
from tests.server.served import CONFIG

DAY_S = 86_400.0


async def deeds(door: Door) -> list[str]:
    return [deed.what for deed in await door.lw.store.deeds(None, 9)]


async def test_a_server_forgets_what_is_older_than_is_kept(door: Door) -> None:
    now, store = door.clock.now(), door.lw.store
    for days in (401, 399):
        await store.record(Deed(now - days * DAY_S, "ann", None, "lane.pause", str(days)))
    async with door.app.router.lifespan_context(door.app):
        assert await deeds(door) == ["399"], "since it began"


async def test_the_config_says_how_long_and_all_of_it_goes(open_door: Callable[..., Door]) -> None:
    door = open_door(f'{CONFIG}[server]\nkeep_audit = "2d"\n')
    audit, store = Audit(door.lw), door.lw.store
    now = door.clock.now()
    old = Deed(now, "ann", None, "lane.pause", "old")
    await asyncio.gather(*(store.record(old) for _ in range(AT_ONCE + 1)))
    door.clock.advance(DAY_S)
    await store.record(Deed(door.clock.now(), "ann", None, "lane.pause", "new"))
    await audit.sweep()
    assert await deeds(door) == ["new", *["old"] * 8]
    door.clock.advance(DAY_S + 1)
    await audit.sweep()
    assert await deeds(door) == ["new"]
