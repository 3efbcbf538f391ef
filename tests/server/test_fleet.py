"""Several servers and workers on one store, SQLite or PostgreSQL: a client sees one service."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from typing import Any

import openai

from tests.conftest import Desk
from tests.server.served import CHAT, CONFIG, Serve, Simulate
from tests.server.test_batches import lines, results, start, to_openai, until

LANES = CONFIG.replace('provider = "openai"', 'provider = "openai"\nconcurrency = 4')


def test_a_server_without_a_worker_leaves_the_work_to_others(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    front, _ = serve("--no-worker"), serve()
    status, said, _ = front.ask("/chat/completions", CHAT)
    assert status == 200
    assert said["choices"][0]["message"]["content"]
    with openai.OpenAI(base_url=front.url, api_key="t", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="small", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        assert "".join(part.choices[0].delta.content or "" for part in stream)


def test_who_asks_again_with_a_key_joins_the_call_in_flight(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulator = simulate(latency=1.0)
    one, other = serve(), serve()
    answers: list[tuple[int, Any]] = []

    def ask(url: Any) -> None:
        answers.append(url.ask("/chat/completions", CHAT, Idempotency_Key="k")[:2])

    asking = [threading.Thread(target=ask, args=(served,)) for served in (one, one, other)]
    asking[0].start()
    until(simulator.stats, lambda stats: stats["requests"] == 1)
    for thread in asking[1:]:
        thread.start()
    for thread in asking:
        thread.join(30)
    assert [status for status, _ in answers] == [200] * 3
    assert len({json.dumps(said) for _, said in answers}) == 1
    assert simulator.stats()["requests"] == 1, "paid once"


def test_on_postgresql_another_server_goes_on_with_a_batch(
    desk: Desk, serve: Serve, simulate: Simulate, postgres_url: str
) -> None:
    simulator = simulate(latency=0.2)
    desk.env["LANEWAY_STORE"] = postgres_url
    desk.env["LANEWAY_TOKEN"] = "t"
    desk.write("laneway.toml", LANES)
    first, second = serve(), serve("--no-worker")
    with to_openai(first) as client:
        batch = start(client, lines(40))
        until(simulator.stats, lambda stats: stats["completed"] >= 8)
        first.kill()
    third = serve()
    with to_openai(second) as client:
        done = until(lambda: client.batches.retrieve(batch.id), lambda batch: batch.status == "completed")
        found = results(client, done.output_file_id)
        assert sorted(row["custom_id"] for row in found) == sorted(f"t{i}" for i in range(40)), "every result once"
        assert client.files.content(batch.input_file_id).content == lines(40)
    assert simulator.stats()["requests"] <= 44
    assert third.stop()[0] == 0


def test_a_keyed_call_outlives_the_server_that_took_it(serve: Serve, simulate: Simulate) -> None:
    simulator = simulate(latency=1.0)
    first = serve()

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # it is cut off
            first.ask("/chat/completions", CHAT, Idempotency_Key="k")

    asking = threading.Thread(target=ask)
    asking.start()
    until(simulator.stats, lambda stats: stats["requests"] == 1)
    first.kill()
    asking.join(30)
    second = serve()
    status, said, headers = second.ask("/chat/completions", CHAT, Idempotency_Key="k")
    assert (status, headers["x-laneway-task"]) == (200, "1"), "the same task, done after all"
    assert second.ask("/chat/completions", CHAT, Idempotency_Key="k")[1] == said
    assert simulator.stats()["requests"] == 2, "only what was in flight is asked again"
