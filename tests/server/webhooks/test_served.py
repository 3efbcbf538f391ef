"""The real command tells a real receiver, also after a kill."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.conftest import Desk
from tests.server.served import CONFIG, Serve, Served, Simulate
from tests.server.webhooks.receiver import OTHER, SECRET, Receiver, of_team


def submit(served: Served, task: dict[str, Any], token: str = "") -> tuple[int, Any]:
    request = urllib.request.Request(
        served.url.removesuffix("/v1") + "/api/v1/tasks",
        json.dumps(task).encode(),
        {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def test_a_server_that_is_killed_tells_when_it_is_back(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate(latency=0.01)
    desk.env["LANEWAY_WEBHOOK_SECRET"] = SECRET
    desk.write("laneway.toml", CONFIG + '[server]\nwebhook_hosts = ["127.0.0.1"]\nwebhook_content = true\n')
    async with Receiver() as receiver:
        idle = serve("--no-worker")
        task = {"prompt": "hello", "key": "k", "webhook": receiver.url()}
        status, taken = submit(idle, task)
        assert status == 201
        assert submit(idle, task)[0] == 200
        assert submit(idle, {**task, "webhook": "http://10.0.0.1/"})[1]["error"]["kind"] == "input"
        idle.kill()
        served = serve()
        await receiver.heard(1)
        (told,) = receiver.told
        assert served.stop()[0] == 0
    assert told.signed_by(SECRET)
    assert told.said["type"] == "task.succeeded"
    assert told.said["data"]["id"] == taken["id"]
    assert told.said["data"]["output"].startswith("Simulated")


async def test_a_team_checks_by_the_secret_that_the_operator_shows(
    desk: Desk, serve: Serve, simulate: Simulate
) -> None:
    simulate(latency=0.01)
    desk.env["LANEWAY_WEBHOOK_SECRET"] = SECRET
    desk.write("laneway.toml", CONFIG + '[server]\nwebhook_hosts = ["127.0.0.1"]\n')
    token = desk.run("token", "create", "alice", "--team", "red").out.strip()
    red = desk.run("webhook", "secret", "--team", "red").out.strip()
    blue = desk.run("webhook", "secret", "--team", "blue", "--json").json["secrets"]
    async with Receiver() as receiver:
        served = serve()
        assert submit(served, {"prompt": "hello", "webhook": receiver.url()}, token)[0] == 201
        await receiver.heard(1)
        (told,) = receiver.told
        served.kill()
    assert told.signed_by(red)
    assert red == of_team(SECRET, "red")
    assert not told.signed_by(*blue)
    assert not told.signed_by(SECRET)


def test_a_teams_secret_needs_the_servers(desk: Desk) -> None:
    desk.write("laneway.toml", '[server]\nwebhook_secret_env = "HOOKS"\n')
    assert desk.run("webhook", "secret", "--team", "red", "--json").json["error"]["kind"] == "config"
    desk.env["HOOKS"] = f"{SECRET} {OTHER}"
    assert desk.run("webhook", "secret", "--team", "red", "--json").json == {
        "team": "red",
        "secrets": [of_team(SECRET, "red"), of_team(OTHER, "red")],
    }
    assert desk.run("webhook", "secret", "--team", "no/slash", "--json").json["error"]["kind"] == "usage"
