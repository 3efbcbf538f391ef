"""Budgets a day of tokens: what their teams have spent decides."""

from __future__ import annotations

import time

import httpx

from laneway.store.budgets import end_of_day
from laneway.store.tallies import Tally, TallyKind
from laneway.store.tokens import Role
from laneway.task import State, Urgency
from tests.conftest import Desk
from tests.server.door import Door
from tests.server.served import CHAT, CONFIG, Serve, Simulate


async def spend(door: Door, team: str | None, cost: float) -> None:
    now = door.clock.now()
    await door.lw.store.add_tallies([Tally(int(now), team, TallyKind.ALL, "", cost=cost)], now)
    door.clock.advance(2)


async def ask(client: httpx.AsyncClient, path: str = "/api/v1/tasks") -> httpx.Response:
    body = {"prompt": "x"} if path.startswith("/api") else {**CHAT, "max_tokens": 9, "model": "small"}
    return await client.post(path, json=body)


async def test_what_a_team_has_spent_today_decides_until_midnight(door: Door) -> None:
    red = door.client(await door.token("ann", team="red", daily_budget=5.0))
    other = door.client(await door.token("ben", team="red", daily_budget=8.0))
    blue = door.client(await door.token("cy", team="blue", daily_budget=5.0, highest=Urgency.STANDARD))
    free = door.client(await door.token("dan", team="red"))
    await spend(door, "red", 3.0)
    await spend(door, None, 50.0)
    assert (await ask(red)).status_code == 201
    await spend(door, "red", 2.0)
    refused = await ask(red)
    assert refused.status_code == 429
    left = end_of_day(door.clock.now()) - door.clock.now()
    assert abs(int(refused.headers["retry-after"]) - left) <= 1
    assert refused.headers["x-should-retry"] == "false", "no use to come again in a minute"
    assert "$5.00 of $5.00 today; there is a new one at 00:00 UTC" in refused.json()["error"]["message"]
    for client in (other, blue, free):
        assert (await ask(client)).status_code == 201
    assert (await red.get("/api/v1/tasks")).status_code == 200, "to look costs nothing"
    door.clock.advance(left)
    assert (await ask(red)).status_code == 201


async def test_each_api_says_it_in_its_own_words_and_takes_nothing_in(door: Door) -> None:
    client = door.client(await door.token("ann", team="red", daily_budget=0.0))
    chat = (await ask(client, "/v1/chat/completions")).json()["error"]
    assert (chat["type"], chat["code"]) == ("insufficient_quota", "daily_budget")
    assert (await ask(client, "/v1/messages")).json()["error"]["type"] == "rate_limit_error"
    params = {"model": "small", "max_tokens": 9, "messages": CHAT["messages"]}
    batch = {"requests": [{"custom_id": "a", "params": params}]}
    assert (await client.post("/v1/messages/batches", json=batch)).status_code == 429
    bulk = await client.post("/api/v1/tasks/bulk", json={"tasks": [{"prompt": "x"}]})
    assert (bulk.status_code, bulk.json()["error"]["kind"]) == (429, "limit")
    assert (await door.lw.store.backlog()).open == 0


async def test_what_has_failed_does_not_go_again_for_a_budget_that_is_used_up(door: Door) -> None:
    store = door.lw.store
    client = door.client(await door.token("ann", Role.OPERATE, team="red", daily_budget=5.0))
    free = door.client(await door.token("ben", Role.OPERATE, team="red"))
    tasks = [(await ask(client)).json()["id"] for _ in range(3)]
    await store.cancel(tasks, door.clock.now())
    await spend(door, "red", 5.0)
    again = {"filter": {"state": ["cancelled"]}, "verb": "retry"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    async def states() -> set[State]:
        return {task.state for task in await store.get_tasks(tasks)}

    assert (await client.post("/api/v1/tasks/select", json={**again, "dry_run": True})).json()["matched"] == 3
    for refused in (
        await client.post("/api/v1/tasks/select", json=again),
        await client.post(f"/api/v1/tasks/{tasks[0]}/retry"),
        await client.post("/ui/failures/retry/begin", content="", headers=form),
        await client.post(f"/ui/tasks/{tasks[0]}/retry", content="", headers=form),
    ):
        assert refused.status_code == 429, refused.url
        assert "$5.00 of $5.00 today" in refused.text
    assert (await states(), await store.deeds(None, 9)) == ({State.CANCELLED}, [])
    cancelled = await client.post("/api/v1/tasks/select", json={"filter": {"run": 1}, "verb": "cancel"})
    assert cancelled.status_code == 200, "that costs nothing"
    assert (await free.post("/api/v1/tasks/select", json=again)).json()["changed"] == 3
    assert await states() == {State.READY}


async def test_what_is_looked_up_is_remembered_for_a_moment(door: Door) -> None:
    client = door.client(await door.token("ann", team="red", daily_budget=1.0))
    assert (await ask(client)).status_code == 201
    now = door.clock.now()
    await door.lw.store.add_tallies([Tally(int(now), "red", TallyKind.ALL, "", cost=1.0)], now)
    assert (await ask(client)).status_code == 201
    door.clock.advance(2)
    assert (await ask(client)).status_code == 429


def test_what_calls_really_cost_counts(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    desk.write(
        "laneway.toml", CONFIG.replace('id = "gpt-4o-mini"', 'id = "gpt-4o-mini"\ninput_price = 1\noutput_price = 1')
    )
    poor, free = (
        desk.run("token", "create", name, "--team", "red", *more, "--json").json["token"]
        for name, *more in (("poor", "--daily-budget", "0.00002"), ("free",))
    )
    served = serve()
    give_up = time.monotonic() + 30
    while (answer := served.ask("/chat/completions", CHAT, Authorization=f"Bearer {poor}"))[0] == 200:
        assert time.monotonic() < give_up, "its budget is used up by the second call, and known within seconds"
    assert (answer[0], answer[1]["error"]["code"]) == (429, "daily_budget")
    assert served.ask("/chat/completions", CHAT, Authorization=f"Bearer {free}")[0] == 200
