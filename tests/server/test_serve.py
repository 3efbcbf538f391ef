"""``laneway serve``: the real command, asked by OpenAI's own client and by plain HTTP."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk
from tests.server.served import CHAT, CONFIG, Serve, Simulate

CLIENT = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="t", max_retries=0)
hello = [{"role": "user", "content": "hello"}]
answer = client.chat.completions.create(model="auto", messages=hello, metadata={"team_of": "legal"})
print(answer.model, answer.usage.completion_tokens, len(answer.choices[0].message.content) > 10)
stream = client.chat.completions.create(
    model="small", messages=hello, stream=True, stream_options={"include_usage": True}
)
parts = list(stream)
print("".join(p.choices[0].delta.content or "" for p in parts if p.choices)[:9], parts[-1].usage.completion_tokens)
print(parts[-2].choices[0].finish_reason, parts[0].choices[0].delta.role)
print([model.id for model in client.models.list()])
print(client.responses.create(model="small", input="hello").output_text[:9])
print(len(client.embeddings.create(model="vectors", input=["a", "b"]).data))
for wrong in (
    lambda: client.chat.completions.create(model="smal", messages=hello),
    lambda: client.chat.completions.create(model="small", messages=[]),
    lambda: openai.OpenAI(base_url=sys.argv[1], api_key="x").models.list(),
):
    try:
        wrong()
    except openai.APIStatusError as error:
        print(type(error).__name__, error.code, error.body["message"][:40])
"""


def test_openais_own_client_is_answered_and_refused_as_it_expects(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    desk.env["LANEWAY_TOKEN"] = "t"
    served = serve()
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, served.url], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].split()[0].startswith("gpt-4o"), "a rule on the metadata chose it"
    assert "mini" not in lines[0]
    assert lines[0].endswith("10 True")
    assert lines[1:4] == ["Simulated 10", "stop assistant", "['auto', 'small', 'strong', 'vectors']"]
    assert lines[4:6] == ["Simulated", "2"]
    assert lines[6].startswith("NotFoundError model_not_found there is no model 'smal'")
    assert lines[7].startswith("BadRequestError None messages is missing or empty")
    assert lines[8].startswith("AuthenticationError invalid_api_key")
    assert served.stop() == (0, "")
    status = desk.run("status", "--json").json
    assert status["runs"][0]["tasks"]["succeeded"] == 4
    explained = desk.run("explain", "1", "--json").json
    assert (explained["route"]["lane"], explained["route"]["urgency"]) == ("legal", "immediate")


def test_wishes_by_header_and_one_task_a_key(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulator = simulate()
    served = serve()
    wishes = {"Idempotency_Key": "one", "X_Laneway_Lane": "night", "X_Laneway_Urgency": "relaxed"}
    status, first, headers = served.ask("/chat/completions", CHAT, **wishes)
    assert status == 200
    again = served.ask("/chat/completions", CHAT, **wishes)
    assert (again[1], again[2]["x-laneway-task"]) == (first, headers["x-laneway-task"])
    assert simulator.stats()["requests"] == 1, "an answer is paid once"
    other = {**CHAT, "messages": [{"role": "user", "content": "other"}]}
    status, said, _ = served.ask("/chat/completions", other, **wishes)
    assert (status, said["error"]["code"]) == (409, "idempotency_conflict")
    status, said, _ = served.ask("/chat/completions", CHAT, X_Laneway_Urgency="now")
    assert (status, said["error"]["type"]) == (400, "invalid_request_error")
    explained = desk.run("explain", "one", "--json").json
    assert (explained["route"]["lane"], explained["route"]["urgency"]) == ("night", "relaxed")
    assert desk.run("prune", "--older-than", "0s", "--json").json["tasks"] == 1
    status, said, _ = served.ask("/chat/completions", CHAT, **wishes)
    assert (status, said["error"]["code"]) == (410, "pruned"), "no answer is not an empty one"


def test_what_is_refused_at_the_door(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulator = simulate()
    desk.env["LANEWAY_TOKEN"] = "t"
    served = serve("--max-body", "1")
    cases: list[tuple[int, str | None, dict[str, str], Any]] = [
        (401, "invalid_api_key", {"Authorization": "Bearer wrong"}, CHAT),
        (403, "host", {"Host": "evil.example"}, CHAT),
        (403, "origin", {"Origin": "https://evil.example"}, CHAT),
        (415, None, {"Content_Type": "text/plain"}, CHAT),
        (400, "invalid_json", {}, b"{"),
        (400, None, {}, [1]),
        (413, "request_too_large", {}, b"x" * 1_000_001),
    ]
    for status, code, headers, body in cases:
        found, said, _ = served.ask("/chat/completions", body, **headers)
        assert (found, said["error"]["code"]) == (status, code), said
    assert served.ask("/nothing")[0] == 404
    assert served.ask("/chat/completions")[0] == 405
    with urllib.request.urlopen(served.url.removesuffix("/v1") + "/health", timeout=10) as health:
        assert json.load(health)["status"] == "ok"
    assert simulator.stats()["requests"] == 0


def test_addresses_that_others_reach_need_a_token(desk: Desk) -> None:
    desk.write("laneway.toml", CONFIG)
    refused = desk.run("serve", "--host", "0.0.0.0", "--port", "0", "--json")
    assert refused.code == 2
    assert "there is no token" in refused.json["error"]["message"]


def test_a_failed_task_comes_as_the_providers_own_error(serve: Serve, simulate: Simulate, desk: Desk) -> None:
    simulate(error_rate=1.0)
    desk.write("laneway.toml", CONFIG + "[retry]\nmax_attempts = 1\n")
    status, said, headers = serve().ask("/chat/completions", CHAT)
    assert (status, said["error"]["type"]) == (503, "server_error")
    assert headers["x-should-retry"] == "false"


def test_sigterm_answers_what_is_open_and_who_leaves_without_a_key_cancels(
    desk: Desk, serve: Serve, simulate: Simulate
) -> None:
    simulator = simulate(latency=1.0)
    served = serve()
    leave(served.url, simulator, 1, Idempotency_Key="mine")
    leave(served.url, simulator, 2)
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(served.ask("/chat/completions", CHAT)[0]))
    asking.start()
    until(lambda: simulator.stats()["requests"] == 3)
    assert served.stop() == (0, "")
    asking.join(20)
    assert answers == [200]
    tasks = desk.run("status", "--json").json["runs"][0]["tasks"]
    assert (tasks["succeeded"], tasks["cancelled"]) == (2, 1), "who has a key may come back for the answer"
    left = desk.run("explain", "2", "--json").json
    assert left["state"] == "cancelled"
    assert left["attempts"][0]["latency_s"] < 0.9, "the call that nobody waits for was broken off"


def leave(url: str, simulator: SimulatorProcess, requests: int, **headers: str) -> None:
    """Ask, and hang up when so many requests have come to the provider."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/v1/chat/completions", json.dumps(CHAT), {"Content-Type": "application/json", **named})
    until(lambda: simulator.stats()["requests"] == requests)
    connection.close()


def until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_python_tasks_wait_for_a_worker_that_has_them(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    served = serve()
    submit = "from laneway import Laneway; lw = Laneway()\n@lw.task\nasync def double(n: int) -> int: return 2 * n\n"
    code = submit + "lw.sync.submit(double, 4); lw.sync.close()"
    subprocess.run([sys.executable, "-c", code], cwd=desk.folder, env=desk.env, check=True, timeout=60)
    assert served.ask("/chat/completions", CHAT)[0] == 200
    assert served.stop()[0] == 0
    assert desk.run("explain", "1", "--json").json["state"] == "ready"
