"""Changing limits of lanes and accounts, and draining workers, through the native API."""

from __future__ import annotations

from typing import Any

import pytest

from laneway import Laneway
from laneway.server.caller import Caller, Role
from tests.server.native.asking import Asker, Refused

ANN = Caller("ann")


async def test_limits_are_set_shown_and_given_back(api: Asker, lw: Laneway) -> None:
    task = await api("POST", "/tasks", {"prompt": "a", "lane": "legal"})
    answer = await api("PATCH", "/lanes/legal", {"concurrency": 40, "weight": 3}, who=ANN)
    assert answer["configured"] == {"concurrency": 10, "weight": 1}
    assert (answer["set"], answer["set_by"]) == ({"concurrency": 40, "weight": 3}, "ann")
    answer = await api("PATCH", "/lanes/legal", {"weight": None}, who=Caller("bob"))
    assert (answer["set"], answer["set_by"]) == ({"concurrency": 40}, "bob")
    await api("PATCH", "/accounts/main", {"requests_per_minute": 60, "weight": 0.5}, who=ANN)
    shown = (await api("GET", f"/tasks/{task['id']}/explain"))["limits_set"]
    assert [(one["kind"], one["name"], one["configured"]) for one in shown] == [
        ("account", "main", {"requests_per_minute": None, "weight": 1}),
        ("lane", "legal", {"concurrency": 10}),
    ]
    lanes = {one["name"]: one for one in (await api("GET", "/lanes"))["data"]}
    assert (lanes["legal"]["concurrency"], lanes["legal"]["live"]["set_by"]) == (40, "bob")
    assert lanes["general"]["live"] is None
    assert [one["set"] for one in await api("GET", "/limits")] == [
        {"requests_per_minute": 60, "weight": 0.5},
        {"concurrency": 40},
    ]
    answer = await api("PATCH", "/lanes/legal", {"concurrency": None}, who=ANN)
    assert (answer["set"], answer["set_by"]) == ({}, None)
    deeds = [(deed.who, deed.action, deed.detail) for deed in await lw.store.deeds(None, 9)]
    assert deeds[0] == ("ann", "lane.limits", {"concurrency": None})
    assert len(deeds) == 4


async def test_an_accounts_limits_are_only_lowered(api: Asker) -> None:
    assert (await api("PATCH", "/accounts/tight", {"concurrency": 4}))["set"] == {"concurrency": 4}
    with pytest.raises(Refused, match="can only be lowered"):
        await api("PATCH", "/accounts/tight", {"concurrency": 6})
    assert (await api("PATCH", "/accounts/tight", {"concurrency": None}))["set"] == {}
    assert (await api("PATCH", "/accounts/main", {"concurrency": 600}))["set"] == {"concurrency": 600}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/lanes/legal", {}),
        ("/lanes/legal", {"concurrency": 0}),
        ("/lanes/legal", {"concurrency": 1.5}),
        ("/lanes/legal", {"weight": -1}),
        ("/lanes/legal", {"requests_per_minute": 3}),
        ("/lanes/legl", {"weight": 2}),
        ("/accounts/other", {"weight": 2}),
    ],
)
async def test_what_makes_no_sense_is_refused(api: Asker, path: str, asked: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        await api("PATCH", path, asked)
    assert refused.value.status in (400, 404)


async def test_only_who_steers_for_all_teams_may(api: Asker) -> None:
    for who in (Caller("sam", None, Role.SUBMIT), Caller("ann", "legal", Role.OPERATE)):
        for method, path, body in (
            ("PATCH", "/lanes/legal", {"weight": 2}),
            ("PATCH", "/accounts/main", {"weight": 2}),
            ("POST", "/workers/w/drain", None),
        ):
            with pytest.raises(Refused, match="403"):
                await api(method, path, body, who=who)


async def test_a_worker_that_is_not_there_cannot_be_drained(api: Asker) -> None:
    with pytest.raises(Refused, match="no worker is at work"):
        await api("POST", "/workers/nobody-1/drain")
