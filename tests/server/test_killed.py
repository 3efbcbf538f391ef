"""What a server that is killed leaves: whose client is gone with it is called off, whatever somebody can come back for
is done."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from tests.cli.working import until
from tests.conftest import Desk
from tests.server.served import CHAT, CONFIG, Serve, Served, Simulate

CALL = "/v1/chat/completions"


def begin(served: Served, path: str, body: Any, **headers: str) -> http.client.HTTPConnection:
    """Ask, and do not wait for the answer."""
    where = urlsplit(served.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **named})
    return connection


def tasks(served: Served) -> list[dict[str, Any]]:
    root = Served.__new__(Served)
    root.url = served.url.removesuffix("/v1")
    found: list[dict[str, Any]] = root.ask("/api/v1/tasks")[1]["data"]
    return found


def states(served: Served) -> dict[str, str]:
    """By tag."""
    return {one["tags"][0]: one["state"] for one in tasks(served)}


def cut_off(served: Served, open_: list[http.client.HTTPConnection]) -> None:
    served.kill()
    for connection in open_:
        connection.close()


def test_calls_whose_client_is_gone_are_called_off_and_all_others_done(
    desk: Desk, serve: Serve, simulate: Simulate
) -> None:
    simulator = simulate(latency=60)
    desk.write("laneway.toml", CONFIG.replace('provider = "openai"', 'provider = "openai"\nconcurrency = 4'))
    served = serve()
    open_ = [
        begin(served, CALL, CHAT, X_Laneway_Tags="plain"),
        begin(served, CALL, {**CHAT, "stream": True}, X_Laneway_Tags="streamed"),
        begin(served, CALL, CHAT, X_Laneway_Tags="keyed", Idempotency_Key="k"),
        begin(served, "/api/v1/tasks", {"prompt": "hello", "tags": ["native"]}),
    ]
    until(lambda: simulator.stats()["requests"] == 4)
    open_.append(begin(served, CALL, CHAT, X_Laneway_Tags="queued"))
    open_.append(begin(served, CALL, CHAT, X_Laneway_Tags="queued-keyed", Idempotency_Key="q"))
    batch = {"custom_id": "b", "params": {"model": "small", "max_tokens": 9, "messages": CHAT["messages"]}}
    assert served.ask("/messages/batches", {"requests": [batch]}, X_Laneway_Tags="batch")[0] == 200
    until(lambda: len(tasks(served)) == 7)
    assert set(states(served).values()) == {"running", "ready"}
    cut_off(served, open_)
    simulator.control(latency=0.01)

    served = serve()
    until(lambda: set(states(served).values()) == {"succeeded", "cancelled"})
    done = {tag for tag, state in states(served).items() if state == "succeeded"}
    assert done == {"keyed", "queued-keyed", "native", "batch"}
    assert simulator.stats()["requests"] == 8, "nothing was paid for that nobody reads"
    assert served.ask("/chat/completions", CHAT, Idempotency_Key="k", X_Laneway_Tags="keyed")[0] == 200
    assert simulator.stats()["requests"] == 8, "who came back has the answer"
    assert served.stop()[0] == 0


def test_another_server_calls_them_off_when_the_lease_has_ended(
    desk: Desk, serve: Serve, simulate: Simulate, postgres_url: str
) -> None:
    simulator = simulate(latency=60)
    desk.env["LANEWAY_STORE"] = postgres_url
    served, other = serve(), serve("--no-worker")
    open_ = [
        begin(served, CALL, CHAT, X_Laneway_Tags="plain"),
        begin(served, CALL, CHAT, X_Laneway_Tags="keyed", Idempotency_Key="k"),
    ]
    until(lambda: simulator.stats()["requests"] == 2)
    cut_off(served, open_)
    simulator.control(latency=0.01)
    serve()
    until(lambda: set(states(other).values()) == {"succeeded", "cancelled"})
    assert states(other) == {"plain": "cancelled", "keyed": "succeeded"}
    assert simulator.stats()["requests"] == 3
