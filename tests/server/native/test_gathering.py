"""What has ended of many tasks."""

from __future__ import annotations

import asyncio

import pytest

from laneway import Laneway
from laneway.server.caller import Caller, Role
from tests.server.native.asking import Asker, Refused

LEGAL = Caller("ann", "legal", Role.SUBMIT)
SALES = Caller("sam", "sales", Role.OPERATE)


async def test_what_has_ended_is_told_and_the_rest_is_waited_for(api: Asker, lw: Laneway) -> None:
    ids = (await api("POST", "/tasks/bulk", {"tasks": [{"prompt": f"p{n}"} for n in range(5)]}))["ids"]
    assert await api("POST", "/tasks/results", {"ids": ids}) == {"data": []}
    waiting = asyncio.ensure_future(api("POST", "/tasks/results", {"ids": ids, "timeout_s": 30}))
    await api("POST", f"/tasks/{ids[3]}/cancel")
    (told,) = (await waiting)["data"]
    assert (told["id"], told["state"]) == (ids[3], "cancelled")
    await api("POST", f"/tasks/{ids[0]}/cancel")
    everything = await api("POST", "/tasks/results", {"ids": ids, "timeout_s": 30})
    assert [one["id"] for one in everything["data"]] == [ids[3], ids[0]], "in the order of ending"


async def test_what_is_anothers_is_not_there(api: Asker) -> None:
    (own,) = (await api("POST", "/tasks/bulk", {"tasks": [{"prompt": "p"}]}, who=LEGAL))["ids"]
    assert await api("POST", "/tasks/results", {"ids": [own]}, who=LEGAL) == {"data": []}
    for asked, who in (([own], SALES), ([own, 999], LEGAL)):
        with pytest.raises(Refused, match="there is no task") as refused:
            await api("POST", "/tasks/results", {"ids": asked}, who=who)
        assert refused.value.status == 404
