"""The native API of the real command."""

from __future__ import annotations

import json
import threading
import time
import urllib.request

from tests.conftest import Desk
from tests.server.served import Serve, Served, Simulate


def _native(served: Served) -> str:
    return served.url.removesuffix("/v1") + "/api/v1"


def _events(url: str, into: list[str]) -> threading.Thread:
    def read() -> None:
        with urllib.request.urlopen(url, timeout=60) as answer:
            for line in answer:
                into.append(line.decode().rstrip())

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_tasks_are_done_waited_for_and_told_of_and_the_end_is_not_held_up(
    desk: Desk, serve: Serve, simulate: Simulate
) -> None:
    simulate()
    served = serve()
    served.url = _native(served)
    lines: list[str] = []
    listener = _events(served.url + "/events", lines)
    status, task, _ = served.ask("/tasks", {"prompt": "hello", "key": "k"})
    assert status == 201
    status, done, _ = served.ask("/tasks/k/wait?timeout_s=30")
    assert (status, done["state"], done["id"]) == (200, "succeeded", task["id"])
    assert done["output"].startswith("Simulated")
    assert done["cost_usd"] > 0
    _, many, _ = served.ask("/tasks/bulk", {"tasks": [{"prompt": f"p{n}", "key": f"b{n}"} for n in range(20)]})
    for ref in many["ids"]:
        assert served.ask(f"/tasks/{ref}/wait?timeout_s=30")[0] == 200
    _, page, _ = served.ask(f"/runs/{done['run_id']}/results?limit=50")
    assert sorted(one["task"] for one in page["data"]) == sorted([task["id"], *many["ids"]])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and len([line for line in lines if line == "event: ended"]) < 21:
        threading.Event().wait(0.05)
    ended = [json.loads(line[6:])["id"] for line in lines if line.startswith('data: {"id"')]
    assert sorted(ended) == sorted([task["id"], *many["ids"]]), "each once"
    begun = time.monotonic()
    code, err = served.stop()
    assert (code, err) == (0, "")
    assert time.monotonic() - begun < 15, "a stream without an end does not hold the server"
    listener.join(10)


def test_limits_that_were_set_outlive_a_restart_and_a_worker_elsewhere_is_drained(
    desk: Desk, serve: Serve, simulate: Simulate
) -> None:
    simulate(latency=0.2)
    served = serve("--no-worker")
    served.url = _native(served)
    assert served.ask("/lanes/general", {"concurrency": 2}, method="PATCH")[0] == 200
    served.stop()
    worker = desk.start("worker", "--json")
    assert worker.stdout is not None
    name = json.loads(worker.stdout.readline())["worker"]
    served = serve("--no-worker")
    served.url = _native(served)
    _, many, _ = served.ask("/tasks/bulk", {"tasks": [{"prompt": f"p{n}"} for n in range(10)]})
    begun = time.monotonic()
    for ref in many["ids"]:
        assert served.ask(f"/tasks/{ref}/wait?timeout_s=30")[1]["state"] == "succeeded"
    assert time.monotonic() - begun >= 10 / 2 * 0.2, "two at once"
    shown = desk.run("status").out
    assert "lane general: at once 2 (config: none), set by local" in " ".join(shown.split())
    assert served.ask(f"/workers/{name}/drain", {})[:2] == (200, {"worker": name, "draining": True})
    _, err = worker.communicate(timeout=30)
    assert worker.returncode == 0, err
    assert served.ask(f"/workers/{name}/drain", {})[0] == 404
