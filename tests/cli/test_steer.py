"""The commands that steer, on the real command, with real runs and workers beside them."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.working import PATIENCE_S, until
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

CONFIG = """
[accounts.main]
provider = "openai"
concurrency = 4
[models.small]
account = "main"
id = "gpt-4o-mini"
input_price = 1
output_price = 1
context_window = 4000
[models.strong]
account = "main"
id = "gpt-4o"
[lanes.legal]
[types.ask]
prompt = "ask.j2"
[defaults]
model = "small"
"""


def configure(desk: Desk, more: str = "") -> None:
    desk.write("laneway.toml", CONFIG + more)
    desk.write("ask.j2", "Say: {{ text }}")


@contextmanager
def worker(desk: Desk) -> Iterator[None]:
    process = desk.start("worker")
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err


def test_a_paused_lane_holds_a_run_until_it_is_resumed(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    configure(desk)
    desk.batch("tasks.jsonl", 30, model="small")
    assert desk.run("pause", "lane", "general", "--json").json == {
        "paused": [{"kind": "lane", "name": "general", "changed": True}]
    }
    assert desk.run("pause", "lane:general").out == "lane general: was paused already\n"
    running = desk.start("run", "tasks.jsonl", "--json")
    assert running.stderr is not None
    said = running.stderr.readline()
    assert "everything that is left waits: lane general is paused (`laneway resume lane general`" in said
    status = desk.run("status")
    assert "general (paused)" in status.out
    assert "lane general was paused" in status.out
    assert all(len(line) <= 80 for line in status.out.splitlines() if not line.startswith(("    /", "worker")))
    assert simulator.stats()["requests"] == 0
    assert desk.run("resume", "lane", "general").out == "lane general: resumed\n"
    _, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0, err
    assert len(desk.rows("tasks.results.jsonl")) == 30
    assert desk.run("status", "--json").json["paused"] == []


def test_an_interrupted_run_names_what_holds_it(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk)
    desk.batch("tasks.jsonl", 3, model="small")
    desk.run("pause", "account", "main")
    running = desk.start("run", "tasks.jsonl", "--json")
    assert running.stderr is not None
    assert "account main is paused" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 130
    assert "paused by hand: account main; `laneway resume account main`" in err
    assert '"paused":["account main"]' in out
    assert "account main: paused by hand" in desk.run("status").out


def test_a_pause_of_what_there_is_not_is_refused(desk: Desk) -> None:
    configure(desk)
    for words, kind, said in (
        (("lane", "legl"), "not_found", "did you mean 'legal'?"),
        (("account", "other"), "not_found", "known: main"),
        (("run", "7"), "not_found", "no run 7"),
        (("run", "x"), "usage", "no run's number"),
        (("legal",), "usage", "write lane NAME"),
        (("lane",), "usage", "which lane?"),
    ):
        error = desk.run("pause", *words, "--json").json["error"]
        assert error["kind"] == kind
        assert said in error["message"] + error["hint"]


def test_failed_tasks_are_chosen_by_how_they_failed_and_tried_again_elsewhere(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate(error_rate=1.0)
    configure(desk, "[retry]\nmax_attempts = 1\n")
    desk.batch("tasks.jsonl", 4, model="small")  # fewer than would be taken for an outage
    assert desk.run("run", "tasks.jsonl").code == 1
    simulator.control(error_rate=0.0)
    dry = desk.run("retry", "--where", "class=transient,lane=general", "--dry-run")
    assert dry.out == "4 tasks (4 failed) to retry; nothing was changed\n"
    assert desk.run("retry", "--where", "class=request|output", "--json").json["matched"] == 0
    assert desk.run("retry", "t0").out == "task 1: done\n"
    some = desk.run("retry", "run", "1", "--where", "key=t[12]", "--json").json
    assert some == {"matched": 2, "states": {"failed": 2}, "changed": 2, "dry_run": False}
    assert desk.run("cancel", "t1", "run:1").out == "task 2: done\n"
    moved = desk.run("set", "--where", "state=ready", "--model", "strong", "--urgency", "urgent", "--json").json
    assert moved["changed"] == 2
    explained = desk.run("explain", "t2").out
    assert "model: strong   (set by hand)" in explained
    assert "urgency: urgent   (set by hand)" in explained
    with worker(desk):
        until(lambda: desk.run("status", "1", "--json").json["runs"][0]["tasks"].get("succeeded") == 2)
    assert {model: n["requests"] for model, n in simulator.stats()["by_model"].items()}["gpt-4o"] == 2
    done = desk.run("run", "tasks.jsonl", "--json")
    assert done.json["tasks"]["succeeded"] == 4, "the same command does the rest, the cancelled one too"
    assert len(desk.rows("tasks.results.jsonl")) == 4


def test_a_model_that_cannot_take_them_changes_nothing(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk, '[models.tiny]\naccount = "main"\nid = "tiny"\ncontext_window = 50\n')
    desk.batch("tasks.jsonl", 3, model="small", max_tokens=200)
    desk.run("pause", "lane", "general")
    running = desk.start("run", "tasks.jsonl")
    assert running.stderr is not None
    running.stderr.readline()
    try:
        error = desk.run("set", "run", "1", "--model", "tiny", "--json").json["error"]
        assert error["kind"] == "input"
        assert "cannot take 3 of 3 tasks; t0: the request and its answer are longer" in error["message"]
        assert desk.run("set", "run", "1", "--model", "none", "--json").json["error"]["kind"] == "input"
        assert desk.run("set", "t0", "--deadline", "soon", "--json").json["error"]["kind"] == "usage"
        assert desk.run("set", "t0", "--json").json["error"]["message"] == "set what?"
        assert "small" in desk.run("explain", "t0").out
        assert desk.run("set", "run", "1", "--lane", "legal").out == "3 tasks (3 ready) to set, 3 done\n"
        assert running.wait(30) == 0, "the other lane is not paused"
    finally:
        running.kill()
        running.communicate()


def test_a_choice_that_makes_no_sense_is_refused(desk: Desk) -> None:
    configure(desk)
    for arguments, said in (
        (("retry",), "which tasks?"),
        (("retry", "--where", "colour=red"), "cannot be chosen by 'colour'"),
        (("retry", "--where", "state=done"), "no state 'done'"),
        (("retry", "--where", "class=bad"), "no class 'bad'"),
        (("retry", "--where", "state=ready"), "nothing to retry about ready tasks"),
        (("retry", "--where", "failed"), "no condition"),
        (("cancel", "run"), "no run's number"),
        (("cancel", "run", "9"), "there is no run 9"),
        (("cancel", "ghost"), "there is no task 'ghost'"),
    ):
        error = desk.run(*arguments, "--json").json["error"]
        assert said in error["message"], arguments
        assert error["hint"]


def test_results_are_followed_from_another_process_until_the_run_has_ended(desk: Desk, simulate: Simulate) -> None:
    simulate(latency=0.2)
    configure(desk)
    desk.write("in.csv", "id,text\n" + "".join(f"{i},t{i}\n" for i in range(12)))
    running = desk.start("run", "in.csv", "--type", "ask", "-o", "out.csv")
    until(lambda: desk.run("status", "--json").json["runs"])
    following = desk.start("results", "1", "--follow", "--json")
    out, err = following.communicate(timeout=60)
    assert following.returncode == 0, err
    rows = [json.loads(row) for row in out.splitlines()]
    assert sorted(row["key"] for row in rows) == sorted(str(i) for i in range(12))
    assert all(row["status"] == "succeeded" and row["output"] for row in rows)
    running.communicate(timeout=PATIENCE_S)
    again = desk.run("results", "1", "-o", "again.csv")
    assert again.code == 0
    assert (desk.folder / "again.csv").read_text() == (desk.folder / "out.csv").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_follows_may_leave_with_what_has_come(desk: Desk, simulate: Simulate, number: signal.Signals) -> None:
    simulate()
    configure(desk)
    desk.write("in.csv", "id,text\n" + "".join(f"{i},t{i}\n" for i in range(3)))
    desk.run("submit", "ask", "--file", "in.csv")
    desk.run("set", "--where", "key=2", "--lane", "legal")
    desk.run("pause", "lane", "legal")
    with worker(desk):
        following = desk.start("results", "1", "--follow")
        assert following.stdout is not None
        came = [following.stdout.readline() for _ in range(2)]
        following.send_signal(number)
        rest, err = following.communicate(timeout=PATIENCE_S)
    assert (following.returncode, rest, err) == (130, "", "")
    assert sorted(json.loads(row)["id"] for row in came) == ["0", "1"]
    waits = desk.start("submit", "ask", "text=a", "--lane", "legal", "--wait")
    until(lambda: desk.run("status", "--json").json["lanes"]["legal"].get("ready") == 2)
    waits.send_signal(number)
    waits.communicate(timeout=PATIENCE_S)
    assert waits.returncode == 130
    assert desk.run("status", "--json").json["lanes"]["legal"] == {"ready": 2}, "its task stays"


def test_failed_rows_are_printed_on_request(desk: Desk, simulate: Simulate) -> None:
    simulate(error_rate=1.0)
    configure(desk, "[retry]\nmax_attempts = 1\n")
    desk.batch("tasks.jsonl", 3, model="small")
    desk.run("run", "tasks.jsonl")
    assert desk.run("results", "1").out == ""
    assert desk.run("results", "1", "--failed").out == (desk.folder / "tasks.results.jsonl.errors.jsonl").read_text()
    plain = json.loads(desk.run("results", "1", "--failed", "--json", "--follow").out.splitlines()[0])
    assert (plain["status"], plain["error"]["class"]) == ("failed", "transient")


def test_a_model_whose_provider_cannot_carry_the_request_is_refused(desk: Desk) -> None:
    desk.env["ANTHROPIC_API_KEY"] = "sk-ant-test"
    claude = '[accounts.other]\nprovider = "anthropic"\n[models.claude]\naccount = "other"\nid = "claude-haiku-5-5"\n'
    local = '[accounts.desk]\nprovider = "ollama"\n[models.text]\naccount = "desk"\nid = "q"\ninputs = ["text"]\n'
    configure(desk, claude + local)
    chat = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
    picture = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    lines = {
        "plain": ("/v1/chat/completions", chat),
        "two": ("/v1/chat/completions", {**chat, "n": 2}),
        "seen": ("/v1/chat/completions", {**chat, "messages": [{"role": "user", "content": picture}]}),
        "vector": ("/v1/embeddings", {"model": "small", "input": "hello"}),
    }
    rows = [{"custom_id": key, "method": "POST", "url": url, "body": body} for key, (url, body) in lines.items()]
    desk.write("tasks.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    desk.run("pause", "lane", "general")
    running = desk.start("run", "tasks.jsonl")
    try:
        until(lambda: desk.run("status", "--json").json["lanes"].get("general", {}).get("ready") == 4)
        refused = {
            ("two", "claude"): "two: the field 'n' cannot be carried over",
            ("vector", "claude"): "vector: a request for OpenAI Embeddings",
            ("seen", "text"): "seen: it takes no images",
        }
        for (key, model), why in refused.items():
            error = desk.run("set", key, "--model", model, "--json").json["error"]
            assert (error["kind"], why in error["message"]) == ("input", True), error["message"]
        assert desk.run("set", "run", "1", "--model", "claude", "--json").code == 2
        assert json.loads(desk.run("explain", "plain", "--json").out)["route"]["model"] == "small"
        for key, model in (("plain", "claude"), ("seen", "claude"), ("vector", "strong")):
            assert desk.run("set", key, "--model", model).code == 0, (key, model)
    finally:
        running.kill()
        running.communicate()


def test_what_another_run_did_within_the_hour_is_not_paid_again(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    configure(desk, '[types.once]\nprompt = "ask.j2"\ndedupe_for = "1h"\n')
    rows = [json.dumps({"id": i, "text": f"t{i}", "note": "first"}) + "\n" for i in range(10)]
    desk.write("one.jsonl", "".join(rows[:8]))
    desk.write("two.jsonl", "".join(rows).replace("first", "second"))
    assert desk.run("run", "one.jsonl", "--type", "once").code == 0
    first = {row["id"]: row["output"] for row in desk.rows("one.results.jsonl")}
    done = desk.run("run", "two.jsonl", "--type", "once", "--json")
    assert done.code == 0
    assert done.json["tasks"]["succeeded"] == 10
    assert (done.json["tasks"]["deduplicated"], done.json["calls"]) == (8, 2)
    assert simulator.stats()["requests"] == 10
    out = {row["id"]: row for row in desk.rows("two.results.jsonl")}
    assert {i: row["output"] for i, row in out.items() if i < 8} == first
    assert {row["note"] for row in out.values()} == {"second"}, "each row keeps its own columns"
    assert [out[i]["cost_usd"] == 0 for i in range(10)] == [True] * 8 + [False] * 2
    assert "its result is that of task 1, which had the same key" in desk.run("explain", "0", "--run", "2").out
    again = desk.run("run", "two.jsonl", "--type", "once", "--fresh", "--json")
    assert again.json["calls"] == 10, "--fresh does all anew"
