"""The queue's bound: what is beyond it is refused, and what was accepted ends."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from laneway.server.backpressure import Gate
from laneway.server.caller import LOCAL
from laneway.server.envelopes import Refusal
from laneway.store.cells import Backlog
from tests.conftest import Desk
from tests.server.door import Door
from tests.server.served import CHAT, CONFIG, Serve, Served, Simulate

OpenDoor = Callable[..., Door]
ANTHROPIC = {"anthropic-version": "2023-06-01"}


def bound(n: int) -> str:
    return f"{CONFIG}[server]\nmax_queue = {n}\n"


async def ask(client: httpx.AsyncClient, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"prompt": "hello"} if path.startswith("/api") else {**CHAT, "max_tokens": 9, "model": "small"}
    return await client.post(path, json=body, headers=named)


async def test_many_at_once_do_not_pass_the_bound(open_door: OpenDoor) -> None:
    door = open_door(bound(10))
    client = door.client()
    await door.lw.store.join("w", 1e9, door.clock.now())
    paths = ["/v1/chat/completions", "/v1/messages", "/api/v1/tasks"]
    answers = await asyncio.gather(*(ask(client, paths[n % 3], Idempotency_Key=f"k{n}") for n in range(60)))
    assert (await door.lw.store.backlog()) == Backlog(10, 0)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 50
    for answer in refused:
        assert int(answer.headers["retry-after"]) == 30, "nothing has ended yet"


async def test_each_api_says_it_in_its_own_words(open_door: OpenDoor) -> None:
    door = open_door(bound(1))
    client = door.client()
    await door.lw.store.join("w", 1e9, door.clock.now())
    await ask(client)
    chat, messages, native = [
        (await ask(client, path)).json() for path in ("/v1/chat/completions", "/v1/messages", "/api/v1/tasks")
    ]
    assert (chat["error"]["type"], chat["error"]["code"]) == ("rate_limit_error", "queue_full")
    assert messages["error"]["type"] == "rate_limit_error"
    assert native["error"]["kind"] == "limit"
    assert "1 tasks wait or run, and the queue holds 1" in native["error"]["message"]


async def test_where_nobody_works_it_is_503(open_door: OpenDoor) -> None:
    door = open_door(bound(1))
    client = door.client()
    await ask(client)
    answer = await ask(client)
    assert answer.status_code == 503
    assert "no worker" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "30"


async def test_who_comes_again_for_what_was_accepted_is_not_turned_away(open_door: OpenDoor) -> None:
    door = open_door(bound(2))
    client = door.client()
    await door.lw.store.join("w", 1e9, door.clock.now())

    async def native(key: str) -> int:
        return (await client.post("/api/v1/tasks", json={"prompt": "hello", "key": key})).status_code

    assert (await ask(client, Idempotency_Key="a")).status_code == 504
    assert await native("b") == 201
    assert (await ask(client, Idempotency_Key="a")).status_code == 504
    assert await native("b") == 200
    assert (await ask(client, Idempotency_Key="c")).status_code == 429
    assert await native("d") == 429


async def test_a_batch_comes_in_whole_or_not_at_all(open_door: OpenDoor) -> None:
    door = open_door(bound(150))
    client = door.client()
    await door.lw.store.join("w", 1e9, door.clock.now())

    async def batch(n: int) -> httpx.Response:
        params = {"model": "small", "max_tokens": 9, "messages": CHAT["messages"]}
        requests = [{"custom_id": f"r{i}", "params": params} for i in range(n)]
        return await client.post("/v1/messages/batches", json={"requests": requests}, headers=ANTHROPIC)

    assert (await batch(151)).status_code == 429, "it comes in by the hundred"
    assert (await door.lw.store.backlog()).open == 0
    door.clock.advance(1)
    assert (await batch(150)).status_code == 200
    assert (await ask(client)).status_code == 429
    bulk = await client.post("/api/v1/tasks/bulk", json={"tasks": [{"prompt": "x"}] * 151})
    assert bulk.status_code == 400, "no use to come again"


async def test_the_time_to_come_again_is_that_in_which_room_is_made(
    open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(bound(100))
    gate, backlog = Gate(door.lw), Backlog(100, 1000)
    await door.lw.store.join("w", 1e9, door.clock.now())

    async def looked() -> Backlog:
        return backlog

    monkeypatch.setattr(door.lw.store, "backlog", looked)

    async def wait(n: int = 1) -> float:
        with pytest.raises(Refusal) as refused:
            async with gate.place(LOCAL, n):
                pass
        return refused.value.retry_after or 0.0

    assert await wait() == 30
    door.clock.advance(10)
    backlog = Backlog(100, 1020)  # two a second
    assert 0.5 <= await wait() <= 0.75
    assert 25 <= await wait(50) <= 37.5
    door.clock.advance(100)
    backlog = Backlog(100, 1021)
    assert 100 < await wait() <= 165
    backlog = Backlog(99, 1022)
    door.clock.advance(0.2)
    async with gate.place(LOCAL):
        assert await wait() > 0
    assert await wait() > 0, "it is in, though the next look is still to come"


async def test_what_is_on_its_way_in_counts_though_a_look_does_not_see_it(
    open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(bound(2))
    gate = Gate(door.lw)
    await door.lw.store.join("w", 1e9, door.clock.now())

    async def looked() -> Backlog:
        return Backlog(0, 0)

    monkeypatch.setattr(door.lw.store, "backlog", looked)
    async with gate.place(LOCAL):
        door.clock.advance(3)
        async with gate.place(LOCAL):
            door.clock.advance(3)
            with pytest.raises(Refusal):
                async with gate.place(LOCAL):
                    pass
    door.clock.advance(3)
    async with gate.place(LOCAL, 2):
        pass


def test_all_that_were_accepted_end(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate(latency=0.5)
    desk.write("laneway.toml", bound(20))
    served = serve()
    answers = at_once(served, 60)
    assert set(answers) == {200, 429}
    assert answers[200] >= 20
    status, said, _ = served.ask("/chat/completions", CHAT)
    assert status == 200, said
    served.stop()
    tasks = desk.run("status", "--json").json["runs"][0]["tasks"]
    assert tasks["succeeded"] == answers[200] + 1
    assert sum(tasks.values()) == tasks["succeeded"], "what was refused left nothing"


def at_once(served: Served, n: int) -> Counter[int]:
    answers: Counter[int] = Counter()

    def one() -> None:
        status, _, headers = served.ask("/chat/completions", CHAT)
        assert status == 200 or int(headers["retry-after"]) >= 1
        answers[status] += 1

    threads = [threading.Thread(target=one) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
