"""Figures, lists and their bounds through the native API."""

from __future__ import annotations

import pytest

from laneway import Laneway
from laneway.server.caller import Caller, Role
from laneway.server.native import telling
from laneway.store.cells import Pick
from laneway.task import Failure, FailureClass, Outcome, Settlement, State
from tests.server.native.asking import Asker, Refused

LEGAL = Caller("ann", "legal", Role.SUBMIT)
LONG = "x" * 5_000


async def _fail(lw: Laneway, n: int) -> None:
    """So many of the tasks that are ready, with a long message."""
    store, now = lw.store, lw.clock.now()
    await store.join("w", 60.0, now)
    heads = await store.peek(now, depth=1)
    for task in await store.claim("w", [Pick(head.cell_id, n, "main") for head in heads], now):
        failure = Failure(FailureClass.REQUEST, "too_long", LONG, 400)
        settlement = Settlement(task.id, task.fence, State.FAILED, Outcome.REQUEST, now, 0.1, failure=failure)
        assert await store.settle("w", [settlement], now) == [True]
    await store.leave("w", now)


async def test_figures_are_a_teams_own(api: Asker, lw: Laneway) -> None:
    await api("POST", "/tasks/bulk", {"tasks": [{"prompt": f"p{n}", "lane": "deals"} for n in range(5)]}, who=LEGAL)
    await api("POST", "/tasks", {"prompt": "a"})
    await _fail(lw, 2)
    assert (await api("GET", "/overview"))["counts"]["failed"] == 3
    assert (await api("GET", "/overview", who=LEGAL))["counts"]["failed"] == 2
    lanes = {one["name"]: one for one in (await api("GET", "/lanes", who=LEGAL))["data"]}
    assert lanes["deals"]["counts"]["ready"] == 3
    other = Caller("sam", "sales", Role.SUBMIT)
    assert "deals" not in {one["name"] for one in (await api("GET", "/lanes", who=other))["data"]}
    (group,) = (await api("GET", "/failures", who=LEGAL))["data"]
    assert (group["code"], group["tasks"], len(group["message"])) == ("too_long", 2, 500)
    assert (await api("GET", "/failures", who=other))["data"] == []
    assert {one["name"] for one in (await api("GET", "/accounts"))["data"]} == {"main", "tight"}
    assert {one["name"] for one in (await api("GET", "/models"))["data"]} == {"small", "strong"}
    assert "review" in {one["name"] for one in (await api("GET", "/types"))["data"]}
    assert (await api("GET", "/workers"))["data"] == []
    with pytest.raises(Refused, match="403"):
        await api("GET", "/workers", who=LEGAL)


async def test_failed_tasks_are_listed_and_retried_by_what_failed(api: Asker, lw: Laneway) -> None:
    await api("POST", "/tasks/bulk", {"tasks": [{"prompt": f"p{n}"} for n in range(4)]})
    await _fail(lw, 3)
    page = await api("GET", "/tasks?state=failed&class=request&code=too_long")
    assert len(page["data"]) == 3
    assert {len(one["error"]["message"]) for one in page["data"]} == {500}
    whole = await api("GET", f"/tasks/{page['data'][0]['id']}")
    assert whole["error"]["message"] == LONG
    asked = {"filter": {"state": ["failed"], "code": ["too_long"]}, "verb": "retry"}
    counted = await api("POST", "/tasks/select", {**asked, "dry_run": True})
    assert (counted["matched"], counted["states"]) == (3, {"failed": 3})
    assert (await api("POST", "/tasks/select", asked))["changed"] == 3


async def test_no_page_is_larger_than_its_bound_and_nothing_is_left_out(
    api: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = [f"{n}-{'t' * 150}" for n in range(50)]
    for at in range(0, 60, 20):
        await api("POST", "/tasks/bulk", {"tasks": [{"prompt": f"{at + n}", "tags": tags} for n in range(20)]})
    seen: list[int] = []
    cursor = ""
    while True:
        answer = await api.ask("GET", f"/tasks?limit=200{cursor}")
        assert len(answer.content) <= 256 * 1024
        page = answer.json()
        seen += [one["id"] for one in page["data"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert (len(seen), len(set(seen))) == (60, 60)
    monkeypatch.setattr(telling, "LARGEST_PAGE", 3_000)
    first = await api("GET", "/accounts")
    second = await api("GET", f"/accounts?cursor={first['next']}")
    assert [[one["name"] for one in page["data"]] for page in (first, second)] == [["main"], ["tight"]]
    assert second["next"] is None
