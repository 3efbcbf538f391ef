"""The real command tells a real receiver, also after a kill."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.conftest import Desk
from tests.server.served import CONFIG, Serve, Served, Simulate
from tests.server.webhooks.receiver import SECRET, Receiver


def submit(served: Served, task: dict[str, Any]) -> tuple[int, Any]:
    request = urllib.request.Request(
        served.url.removesuffix("/v1") + "/api/v1/tasks",
        json.dumps(task).encode(),
        {"Content-Type": "application/json"},
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
