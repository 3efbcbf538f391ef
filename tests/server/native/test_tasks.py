"""Submitting, reading and steering tasks through the native API, and who sees which."""

from __future__ import annotations

import json

import pytest

from laneway import Laneway
from laneway.server.caller import Caller, Role
from laneway.task import Urgency
from tests.server.native.asking import Asker, Refused

LEGAL = Caller("ann", "legal", Role.OPERATE)
SALES = Caller("sam", "sales", Role.SUBMIT)


async def test_a_task_is_submitted_found_by_id_and_key_and_known_again(api: Asker) -> None:
    answer = await api.ask("POST", "/tasks", {"type": "review", "fields": {"doc": "a"}, "key": "k1", "tags": ["x"]})
    task = answer.json()
    assert (answer.status_code, task["state"], task["key"], task["tags"]) == (201, "ready", "k1", ["x"])
    assert (task["type"], task["model"], task["output"], task["settled_at"]) == ("review", "small", None, None)
    again = await api.ask("POST", "/tasks", {"type": "review", "fields": {"doc": "a"}, "key": "k1"})
    assert (again.status_code, again.json()["id"]) == (200, task["id"])
    assert (await api("GET", f"/tasks/{task['id']}"))["key"] == "k1"
    assert (await api("GET", "/tasks/k1"))["id"] == task["id"]
    with pytest.raises(Refused, match="409"):
        await api("POST", "/tasks", {"type": "review", "fields": {"doc": "b"}, "key": "k1"})


async def test_prompts_and_bodies_go_where_they_ask_to_go(api: Asker) -> None:
    asked = {"prompt": "hello", "system": "be brief", "urgency": "urgent", "lane": "legal", "model": "strong"}
    task = await api("POST", "/tasks", asked)
    assert (task["urgency"], task["lane"], task["model"]) == ("urgent", "legal", "strong")
    later = await api("POST", "/tasks", {"prompt": "hello", "delay_s": 3600})
    assert (later["state"], later["wait_reason"]) == ("waiting", "scheduled")
    assert later["wake_at"] == pytest.approx(later["submitted_at"] + 3600)
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    assert (await api("POST", "/tasks", {"body": body}))["model"] == "small"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"type": "revue", "fields": {}}, "revue"),
        ({"type": "review", "fields": {}}, "doc"),
        ({"prompt": "a", "type": "review"}, "one of"),
        ({"prompt": "a", "model": "smal"}, "smal"),
        ({"prompt": "a", "urgency": "soonish"}, "soonish"),
        ({"prompt": "a\x00"}, "pattern"),
        ({"prompt": "a", "colour": "red"}, "colour"),
        ({"body": {"messages": []}}, "messages"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_said(api: Asker, asked: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        await api("POST", "/tasks", asked)
    assert refused.value.status in (400, 404)
    assert set(refused.value.error) == {"kind", "message", "hint"}


async def test_many_are_taken_together_or_not_at_all(api: Asker, lw: Laneway) -> None:
    tasks = [{"prompt": f"p{i}", "key": f"k{i}"} for i in range(120)]
    taken = await api("POST", "/tasks/bulk", {"tasks": tasks})
    assert (len(taken["ids"]), taken["new"], taken["known"]) == (120, 120, 0)
    lines = "\n".join(json.dumps(one) for one in [*tasks, {"prompt": "new"}])
    kind = {"content-type": "application/x-ndjson"}
    taken = (await api.ask("POST", "/tasks/bulk", content=lines, headers=kind)).json()
    assert (len(taken["ids"]), taken["new"], taken["known"]) == (121, 1, 120)
    with pytest.raises(Refused) as refused:
        await api("POST", "/tasks/bulk", {"tasks": [{"prompt": "fine"}, {"type": "revue"}, {"prompt": "", "key": "x"}]})
    assert [item["index"] for item in refused.value.error["items"]] == [2]
    with pytest.raises(Refused) as refused:
        await api("POST", "/tasks/bulk", {"tasks": [{"prompt": "fine"}, {"prompt": "other", "key": "k7"}]})
    assert (refused.value.status, refused.value.error["items"][0]["index"]) == (409, 1)
    assert sum(sum(cell.counts.values()) for cell in await lw.store.tally()) == 121


async def test_lists_are_read_page_by_page_and_filtered(api: Asker) -> None:
    for n in range(7):
        await api("POST", "/tasks", {"prompt": "a", "lane": "legal" if n % 2 else "general", "tags": [f"t{n}"]})
    seen: list[int] = []
    cursor = ""
    while True:
        page = await api("GET", f"/tasks?limit=3{cursor}")
        seen += [task["id"] for task in page["data"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 7
    assert len((await api("GET", "/tasks?lane=legal"))["data"]) == 3
    assert len((await api("GET", "/tasks?tag=t1&tag=t2&state=ready"))["data"]) == 2
    assert (await api("GET", "/tasks?state=failed&class=transient"))["data"] == []


async def test_a_team_finds_its_own_and_nothing_else(api: Asker) -> None:
    mine = await api("POST", "/tasks", {"prompt": "a", "key": "k"}, who=LEGAL)
    theirs = await api("POST", "/tasks", {"prompt": "b", "key": "k"}, who=SALES)
    assert mine["id"] != theirs["id"]
    assert (await api("GET", "/tasks/k", who=LEGAL))["id"] == mine["id"]
    for path in ("", "/explain", "/tree", "/wait?timeout_s=0"):
        with pytest.raises(Refused, match="not_found"):
            await api("GET", f"/tasks/{theirs['id']}{path}", who=LEGAL)
    for verb in ("cancel", "retry"):
        with pytest.raises(Refused, match="not_found"):
            await api("POST", f"/tasks/{theirs['id']}/{verb}", who=LEGAL)
    for path in ("", "/results"):
        with pytest.raises(Refused, match="not_found"):
            await api("GET", f"/runs/{theirs['run_id']}{path}", who=LEGAL)
    assert [task["id"] for task in (await api("GET", "/tasks", who=LEGAL))["data"]] == [mine["id"]]
    assert [run["team"] for run in (await api("GET", "/runs", who=SALES))["data"]] == ["sales"]
    selected = await api("POST", "/tasks/select", {"filter": {"state": ["ready"]}, "verb": "cancel"}, who=LEGAL)
    assert selected["changed"] == 1
    assert (await api("GET", f"/tasks/{theirs['id']}"))["state"] == "ready"
    assert {run["team"] for run in (await api("GET", "/runs"))["data"]} == {"legal", "sales"}


async def test_a_role_bounds_what_may_be_steered(api: Asker) -> None:
    for path in ("/lanes/legal/pause", "/accounts/main/resume"):
        for who in (SALES, LEGAL):
            with pytest.raises(Refused, match="403"):
                await api("POST", path, who=who)
        assert (await api("POST", path))["name"] in ("legal", "main")
    with pytest.raises(Refused, match="403"):
        await api("POST", "/tasks/select", {"filter": {"run": 1}, "verb": "cancel"}, who=SALES)


async def test_tasks_are_changed_cancelled_retried_and_that_is_recorded(api: Asker, lw: Laneway) -> None:
    task = await api("POST", "/tasks", {"prompt": "a", "key": "k"})
    assert await api("PATCH", "/tasks/k", {"urgency": "urgent", "lane": "legal"}) == {"changed": 1}
    assert [(await api("GET", "/tasks/k"))[name] for name in ("urgency", "lane")] == ["urgent", "legal"]
    assert await api("POST", "/tasks/k/cancel") == {"changed": 1}
    assert (await api("GET", "/tasks/k/wait"))["state"] == "cancelled"
    assert await api("POST", "/tasks/k/cancel") == {"changed": 0}
    assert await api("POST", "/tasks/k/retry") == {"changed": 1}
    assert (await api("GET", "/tasks/k"))["state"] == "ready"
    waited = await api.ask("GET", "/tasks/k/wait?timeout_s=0")
    assert (waited.status_code, waited.json()["id"]) == (202, task["id"])
    assert (await api("GET", "/tasks/k/explain"))["route"]["reasons"]["lane"] == "set by hand"
    deeds = [(deed.who, deed.action) for deed in await lw.store.deeds(None, 10)]
    assert deeds == [("local", one) for one in ("task.retry", "task.cancel", "task.cancel", "task.set")]


async def test_many_are_counted_before_they_are_changed(api: Asker) -> None:
    await api("POST", "/tasks/bulk", {"tasks": [{"prompt": f"p{i}", "lane": "legal"} for i in range(5)]})
    await api("POST", "/tasks", {"prompt": "other"})
    asked = {"filter": {"lane": ["legal"]}, "verb": "set", "change": {"urgency": "relaxed"}}
    counted = await api("POST", "/tasks/select", {**asked, "dry_run": True})
    assert counted == {"matched": 5, "states": {"ready": 5}, "changed": 0, "dry_run": True}
    assert (await api("POST", "/tasks/select", asked))["changed"] == 5
    assert len((await api("GET", "/tasks?urgency=relaxed"))["data"]) == 5
    with pytest.raises(Refused, match="which tasks"):
        await api("POST", "/tasks/select", {"filter": {}, "verb": "cancel"})


async def test_lanes_and_runs_are_paused_and_shown_so(api: Asker, lw: Laneway) -> None:
    task = await api("POST", "/tasks", {"prompt": "a"})
    run = task["run_id"]
    assert (await api("POST", f"/runs/{run}/pause"))["changed"] is True
    assert (await api("GET", f"/runs/{run}"))["paused"] is True
    assert (await api("POST", f"/runs/{run}/resume"))["changed"] is True
    with pytest.raises(Refused, match="did you mean 'legal'"):
        await api("POST", "/lanes/legl/pause")
    assert (await api("GET", "/runs"))["data"][0]["tasks"] == {"ready": 1}


async def test_the_description_holds_this_api_and_nothing_else(api: Asker) -> None:
    said = await api("GET", "/openapi.json")
    assert said["servers"] == [{"url": "/api/v1"}]
    assert "/tasks/{ref}/wait" in said["paths"]
    assert not [path for path in said["paths"] if path.startswith("/v1")]


async def test_a_tokens_lanes_and_urgency_hold_here_too(api: Asker) -> None:
    bound = Caller("bob", "legal", Role.SUBMIT, frozenset({"legal"}), Urgency.STANDARD)
    task = await api("POST", "/tasks", {"prompt": "a", "lane": "legal", "key": "k"}, who=bound)
    for asked, said in (({"lane": "general"}, "general"), ({"lane": "legal", "urgency": "urgent"}, "urgent")):
        with pytest.raises(Refused, match=said) as refused:
            await api("POST", "/tasks", {"prompt": "a", **asked}, who=bound)
        assert (refused.value.status, refused.value.kind) == (403, "auth")
        with pytest.raises(Refused, match=said):
            await api("PATCH", f"/tasks/{task['id']}", asked, who=bound)
    with pytest.raises(Refused, match="general"):
        await api("POST", "/tasks/bulk", {"tasks": [{"prompt": "a", "lane": "general"}]}, who=bound)
