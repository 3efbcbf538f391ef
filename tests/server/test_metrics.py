"""``/metrics``, ``/healthz`` and ``/readyz`` of the server and of a worker: the real commands."""

from __future__ import annotations

import json
import signal
import urllib.request
from urllib.error import HTTPError

from laneway.server.fleet_metrics import OTHER, Names
from tests.cli.working import until
from tests.conftest import Desk
from tests.server.scraping import Samples, scraped, value
from tests.server.served import CHAT, CONFIG, Serve, Served, Simulate

BUDGET = CONFIG + "[lanes.legal]\nbudget_per_day = 5\n"


def get(url: str, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=named), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def root(served: Served) -> str:
    return served.url.removesuffix("/v1")


def test_what_prometheus_reads_of_a_server(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    desk.write("laneway.toml", BUDGET)
    served = serve()
    for _ in range(3):
        assert served.ask("/chat/completions", CHAT)[0] == 200
    assert served.ask("/chat/completions", {**CHAT, "model": "smal"})[0] == 404
    assert served.ask("/secret-path-4711")[0] == 404
    desk.run("pause", "lane", "night")
    status, text = get(root(served) + "/metrics")
    assert status == 200
    found = scraped(text)
    where = {"lane": "general", "urgency": "immediate", "model": "small"}
    assert value(found, "laneway_tasks", state="succeeded", **where) == 3
    assert value(found, "laneway_queue_depth", lane="general") == 0
    assert value(found, "laneway_workers") == 1
    assert value(found, "laneway_process_in_flight") == 0
    assert value(found, "laneway_process_lease_seconds") > 0
    assert value(found, "laneway_budget_usd", kind="lane", name="legal") == 5
    assert value(found, "laneway_build_info") == 1
    route = {"method": "POST", "route": "/v1/chat/completions"}
    assert value(found, "laneway_http_requests_total", status="200", **route) == 3
    assert value(found, "laneway_http_requests_total", status="404", **route) == 1
    assert value(found, "laneway_http_requests_total", route="unknown", status="404") == 1
    assert value(found, "laneway_http_request_duration_seconds_count", **route) == 4
    assert value(found, "process_resident_memory_bytes") > 0
    assert "secret-path" not in text, "no label comes from a path"


def test_what_workers_count_comes_to_prometheus(serve: Serve, simulate: Simulate) -> None:
    simulate()
    served = serve()
    first = scraped(get(root(served) + "/metrics")[1])
    assert not any(name.startswith("laneway_ended") for name, _ in first), "it begins with the first look"
    for _ in range(3):
        assert served.ask("/chat/completions", CHAT)[0] == 200

    def found() -> Samples:
        return scraped(get(root(served) + "/metrics")[1])

    lane = {"lane": "general"}
    until(lambda: any(name == "laneway_ended_tasks_total" for name, _ in found()))
    samples = found()
    assert value(samples, "laneway_ended_tasks_total", outcome="succeeded", **lane) == 3
    assert value(samples, "laneway_task_run_seconds_count", **lane) == 3
    assert value(samples, "laneway_task_run_seconds_bucket", le="60.0", **lane) == 3
    assert value(samples, "laneway_calls_total", account="main") == 3
    assert value(samples, "laneway_tokens_total", model="small", direction="output") == 30


def test_metrics_need_a_token_where_there_is_one_and_probes_do_not(
    desk: Desk, serve: Serve, simulate: Simulate
) -> None:
    simulate()
    desk.env["LANEWAY_TOKEN"] = "t0ken-of-the-house"
    served = serve()
    assert get(root(served) + "/metrics")[0] == 401
    assert get(root(served) + "/metrics", Authorization="Bearer t0ken-of-the-house")[0] == 200
    for probe in ("/healthz", "/readyz"):
        status, text = get(root(served) + probe, Host="10.0.0.7:8080")
        assert (status, json.loads(text)["status"]) == (200, "ok"), "kubelet asks by the pod's address, without a token"


def test_metrics_are_for_operators_of_no_team(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    desk.write("laneway.toml", CONFIG)
    tokens = {}
    for role, team in (("submit", None), ("submit", "a"), ("operate", "a"), ("operate", None)):
        options = ["--role", role, *(["--team", team] if team else [])]
        tokens[role, team] = desk.run("token", "create", f"{role}-{team}", *options, "--json").json["token"]
    url = root(serve()) + "/metrics"
    statuses = {whose: get(url, Authorization=f"Bearer {token}")[0] for whose, token in tokens.items()}
    assert statuses == {("submit", None): 403, ("submit", "a"): 403, ("operate", "a"): 403, ("operate", None): 200}


def test_a_server_without_a_worker_is_ready_too(serve: Serve, simulate: Simulate) -> None:
    simulate()
    served = serve("--no-worker")
    status, text = get(root(served) + "/readyz")
    assert (status, json.loads(text)["lease_s"]) == (200, None)
    assert value(scraped(get(root(served) + "/metrics")[1]), "laneway_workers") == 0


def test_what_prometheus_reads_of_workers(desk: Desk, simulate: Simulate) -> None:
    simulate()
    desk.write("laneway.toml", CONFIG)
    desk.env["LANEWAY_TOKEN"] = "t0ken-of-the-house"
    for processes in ("1", "2"):
        worker = desk.start("worker", "--health", "0", "--json", "--processes", processes)
        assert worker.stdout is not None
        url = json.loads(worker.stdout.readline())["health"]
        assert get(url + "/metrics")[0] == 401
        status, text = get(url + "/metrics", Authorization="Bearer t0ken-of-the-house")
        assert status == 200
        assert value(scraped(text), "laneway_workers") == int(processes)
        assert value(scraped(text), "laneway_process_draining") == 0
        worker.send_signal(signal.SIGTERM)
        assert worker.communicate(timeout=60) is not None
        assert worker.returncode == 0


def test_a_request_is_one_line_of_json(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    desk.env |= {"LANEWAY_LOG_FORMAT": "json", "OPENAI_API_KEY": "sk-canary-0123456789abcdef"}
    served = serve("--access-log")
    assert served.ask("/chat/completions?key=sk-canary-0123456789abcdef", CHAT)[0] == 200
    code, err = served.stop()
    assert code == 0
    lines = [json.loads(line) for line in err.splitlines()]
    (line,) = [one for one in lines if one["logger"] == "laneway.access"]
    assert (line["level"], line["method"], line["route"], line["status"]) == (
        "info", "POST", "/v1/chat/completions", 200,
    )  # fmt: skip
    assert line["seconds"] > 0
    assert "canary" not in err


def test_why_a_server_does_not_begin_is_a_line_of_json_too(desk: Desk) -> None:
    desk.write("laneway.toml", CONFIG + "[lanes.legal]\nconcurrency = 0\n")
    done = desk.run("serve", "--log-format", "json")
    desk.write("laneway.toml", CONFIG)
    other = desk.run("serve", "--log-format", "json", "--host", "0.0.0.0")
    for one, words in ((done, "lanes.legal.concurrency"), (other, "there is no token")):
        (line,) = one.err.splitlines()
        said = json.loads(line)
        assert (one.code, said["level"], words in said["message"]) == (2, "error", True)
        assert {"kind", "hint"} <= said.keys()


def test_names_that_clients_choose_are_bounded() -> None:
    name = Names(["legal"], most=3)
    assert [name(one) for one in ("a", "legal", "b", "c", "a", "d")] == ["a", "legal", "b", OTHER, "a", OTHER]
