"""The real command on real files, over real sockets, against the simulator."""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.working import PATIENCE_S, until
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

CONFIG = """
[accounts.main]
provider = "openai"
{limits}
[models.small]
account = "main"
id = "gpt-4o-mini"
input_price = 0.15
output_price = 0.60
[models.strong]
account = "main"
id = "gpt-4o"
input_price = 2.5
output_price = 10.0
[lanes.legal]
concurrency = 2
[types.review]
prompt = "review.j2"
output = "review.json"
max_output_tokens = 50
[[rules]]
name = "letters"
when = {{ text = "/attorney/" }}
lane = "legal"
urgency = "urgent"
model = "strong"
[defaults]
model = "small"
"""
SCHEMA = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}},
    "required": ["risk"],
    "additionalProperties": False,
}


def configure(desk: Desk, limits: str = "concurrency = 10") -> None:
    desk.write("laneway.toml", CONFIG.format(limits=limits))
    desk.write("review.j2", "Review this: {{ text }}")
    desk.write("review.json", json.dumps(SCHEMA))


def test_a_batch_file_without_any_config(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    desk.batch("tasks.jsonl", 50)
    done = desk.run("run", "tasks.jsonl", "--concurrency", "10", "--json")
    assert done.code == 0
    said = done.json
    assert said["tasks"] == {
        "total": 50,
        "succeeded": 50,
        "failed": 0,
        "cancelled": 0,
        "deduplicated": 0,
        "remaining": 0,
    }
    assert said["calls"] == simulator.stats()["requests"] == 50
    assert simulator.stats()["max_in_flight"] <= 10
    assert said["tokens"]["input"] == simulator.stats()["input_tokens"]
    assert said["cost_usd"] == pytest.approx(
        (said["tokens"]["input"] * 0.15 + said["tokens"]["output"] * 0.60) / 1e6, rel=1e-3
    )
    rows = desk.rows("tasks.results.jsonl")
    assert {row["custom_id"] for row in rows} == {f"t{i}" for i in range(50)}
    assert all(row["response"]["body"]["choices"] for row in rows)
    assert not (desk.folder / "tasks.results.jsonl.errors.jsonl").exists()


def test_records_are_triaged_answered_and_checked(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate(malformed_rate=0.2, seed=3)
    configure(desk)
    records = [{"id": i, "text": "the attorney wrote" if i % 4 == 0 else "a question", "extra": "ü"} for i in range(40)]
    desk.write("claims.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    done = desk.run("run", "claims.jsonl", "--type", "review", "-o", "out.jsonl", "--json")
    assert done.code == 0
    rows = {row["id"]: row for row in desk.rows("out.jsonl")}
    assert set(rows) == set(range(40))
    assert all(row["output"]["risk"] in ("low", "high") for row in rows.values())
    assert {i for i, row in rows.items() if row["model"] == "strong"} == set(range(0, 40, 4))
    assert done.json["by_lane"]["legal"]["tasks"] == 10
    assert done.json["outcomes"]["output"] > 0, "broken answers were asked for again"
    assert done.json["cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in rows.values()), rel=1e-3)
    assert simulator.stats()["by_model"]["gpt-4o"]["completed"] >= 10
    explained = desk.run("explain", "0").out
    assert 'rule 1 "letters"' in explained
    assert "strong on main: ok" in explained


def test_a_table_in_and_a_table_out(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk)
    desk.write("ask.j2", "Q: {{ question }}")
    desk.write("q.csv", 'id,question\n1,"what,\nnow?"\n2,=2+2\n')
    done = desk.run("run", "q.csv", "--prompt", "ask.j2", "-o", "a.csv", "--json")
    assert done.code == 0
    rows = list(csv.DictReader((desk.folder / "a.csv").read_text().splitlines(keepends=True)))
    assert sorted(row["question"] for row in rows) == ["'=2+2", "what,\nnow?"]
    assert all(row["output"].startswith("Simulated answer") for row in rows)


def test_standard_input(desk: Desk, simulate: Simulate) -> None:
    simulate()
    text = desk.batch("x.jsonl", 3).read_text()
    assert desk.run("run", "-", "--json", stdin=text).json["tasks"]["succeeded"] == 3
    assert len(desk.rows("stdin.results.jsonl")) == 3


def test_faults_of_the_provider_are_overcome_and_told(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate(error_rate=0.05, rate_limit_rate=0.05, cut_rate=0.02, seed=5)
    desk.batch("tasks.jsonl", 300)
    done = desk.run("run", "tasks.jsonl", "--concurrency", "30", "--json")
    assert done.code == 0
    assert done.json["calls"] == simulator.stats()["requests"] > 300
    assert done.json["rate_limited"] == simulator.stats()["rate_limited"]
    assert "retries" in done.err
    assert "refused (429)" in done.err


def test_limits_are_kept_without_one_refusal(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate(rpm=1200, burst=1, latency=0.05)
    configure(desk, "requests_per_minute = 1200")
    desk.batch("tasks.jsonl", 60, model="small")
    done = desk.run("run", "tasks.jsonl", "--json")
    assert done.code == 0
    assert simulator.stats()["rate_limited"] == 0
    assert done.json["bound_by"] == "main: requests_per_minute"


def test_claude_answers_chat_tasks(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    desk.env |= {"ANTHROPIC_BASE_URL": simulator.url, "ANTHROPIC_API_KEY": "k"}
    desk.batch("tasks.jsonl", 5, model="claude-sonnet-4-5")
    done = desk.run("run", "tasks.jsonl", "--json")
    assert done.code == 0
    assert done.json["tokens"]["output"] == simulator.stats()["output_tokens"]
    row = desk.rows("tasks.results.jsonl")[0]
    assert row["response"]["body"]["object"] == "chat.completion"


class TestRunningAgain:
    def test_nothing_is_paid_twice_failed_ones_go_again_and_changed_ones_are_new(
        self, desk: Desk, simulate: Simulate
    ) -> None:
        simulator = simulate()
        desk.batch("tasks.jsonl", 20)
        desk.run("run", "tasks.jsonl")
        again = desk.run("run", "tasks.jsonl", "--json")
        assert (again.code, again.json["calls"], again.json["tasks"]["succeeded"]) == (0, 0, 20)
        lines = (desk.folder / "tasks.jsonl").read_text().splitlines()
        changed = [lines[0].replace("hello 0", "hullo 0"), *lines[2:], lines[5].replace('"t5"', '"t99"')]
        desk.write("tasks.jsonl", "\n".join(changed))
        third = desk.run("run", "tasks.jsonl", "--json")
        assert third.json["calls"] == 2
        assert Counter(row["custom_id"] for row in desk.rows("tasks.results.jsonl")) == Counter(
            {f"t{i}": 1 for i in [0, *range(2, 20), 99]}
        )
        assert simulator.stats()["requests"] == 22
        fresh = desk.run("run", "tasks.jsonl", "--fresh", "--json")
        assert fresh.json["calls"] == 20

    def test_a_wrong_key_pauses_the_account_and_the_right_one_finishes(self, desk: Desk, simulate: Simulate) -> None:
        simulator = simulate(key=["sk-right"])
        desk.batch("tasks.jsonl", 60)
        desk.env["OPENAI_API_KEY"] = "sk-wrong"
        done = desk.run("run", "tasks.jsonl", "--concurrency", "5", "--json")
        assert done.code == 3
        assert done.json["stopped_reason"] == "account"
        assert done.json["tasks"]["remaining"] == 60
        assert simulator.stats()["unauthorized"] <= 5
        assert done.err.count("Incorrect API key") == 1
        desk.env["OPENAI_API_KEY"] = "sk-right"
        assert desk.run("run", "tasks.jsonl", "--concurrency", "5").code == 0
        assert len(desk.rows("tasks.results.jsonl")) == 60

    def test_a_budget_stops_the_run_and_the_same_command_goes_on(self, desk: Desk, simulate: Simulate) -> None:
        simulate()
        configure(desk)
        desk.batch("tasks.jsonl", 40, model="strong", max_tokens=20)
        budget, codes, spent = 0.0015, [], []
        for _ in range(10):
            done = desk.run("run", "tasks.jsonl", "--max-cost", str(budget), "--json")
            codes.append(done.code)
            spent.append(done.json["cost_usd"])
            if done.code == 0:
                break
        assert codes[-1] == 0
        assert codes[0] == 3
        assert all(cost <= budget for cost in spent)
        assert len(desk.rows("tasks.results.jsonl")) == 40

    def test_kill_9_at_any_moment_loses_nothing_and_repeats_only_what_was_in_flight(
        self, desk: Desk, simulate: Simulate
    ) -> None:
        simulator = simulate(latency=0.15, spread=0.4)
        desk.batch("tasks.jsonl", 150)
        rng = random.Random(11)
        for _ in range(6):
            process = desk.start("run", "tasks.jsonl", "--concurrency", "15")
            before = simulator.stats()["requests"]
            until(lambda: process.poll() is not None or simulator.stats()["requests"] > before)  # noqa: B023 - at once
            try:
                process.communicate(timeout=rng.uniform(0, 0.4))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
        done = desk.run("run", "tasks.jsonl", "--concurrency", "15", "--json")
        assert done.code == 0
        keys = Counter(row["custom_id"] for row in desk.rows("tasks.results.jsonl"))
        assert keys == Counter({f"t{i}": 1 for i in range(150)})
        lost = done.json["whole_run"]["lost"]
        assert lost > 0
        assert simulator.stats()["requests"] <= 150 + lost

    def test_a_second_run_of_the_same_results_is_refused_and_does_not_disturb_the_first(
        self, desk: Desk, simulate: Simulate
    ) -> None:
        simulator = simulate(latency=0.2)
        desk.batch("tasks.jsonl", 200)
        first = desk.start("run", "tasks.jsonl", "--concurrency", "10", "--json")
        until(lambda: simulator.stats()["completed"] >= 10)
        simulator.control(latency=3)  # or it has ended before another has begun, on a machine that does much else
        second = desk.run("run", "tasks.jsonl", "--json")
        simulator.control(latency=0.01)
        assert (second.code, second.json["error"]["kind"]) == (2, "conflict")
        assert "another run writes" in second.json["error"]["message"]
        out, _ = first.communicate(timeout=PATIENCE_S)
        assert first.returncode == 0
        assert json.loads(out.splitlines()[-1])["tasks"]["succeeded"] == 200
        assert simulator.stats()["requests"] == 200

    def test_ctrl_c_drains_and_the_same_command_goes_on(self, desk: Desk, simulate: Simulate) -> None:
        simulator = simulate(latency=0.3)
        desk.batch("tasks.jsonl", 60)
        process = desk.start("run", "tasks.jsonl", "--concurrency", "10", "--json")
        until(lambda: simulator.stats()["completed"] >= 10)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, err
        said = json.loads(out.splitlines()[-1])
        assert said["stopped_reason"] == "interrupted"
        assert said["tasks"]["succeeded"] == simulator.stats()["requests"] == len(desk.rows("tasks.results.jsonl"))
        assert desk.run("run", "tasks.jsonl", "--concurrency", "10").code == 0
        assert simulator.stats()["requests"] == 60

    def test_a_second_ctrl_c_breaks_off(self, desk: Desk, simulate: Simulate) -> None:
        simulator = simulate(latency=30)
        desk.batch("tasks.jsonl", 5)
        process = desk.start("run", "tasks.jsonl", "--concurrency", "5", "--json")
        until(lambda: simulator.stats()["in_flight"] == 5)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "once more" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert json.loads(out.splitlines()[-1])["tasks"]["remaining"] == 5


class TestRefusals:
    """One clear error each, before anything is paid."""

    def test_bad_lines_stop_everything(self, desk: Desk, simulate: Simulate) -> None:
        simulator = simulate()
        path = desk.batch("tasks.jsonl", 3)
        desk.write("tasks.jsonl", path.read_text() + '{"custom_id": "x"}\nrubbish\n')
        done = desk.run("run", "tasks.jsonl")
        assert done.code == 2
        assert "2 lines cannot be used; nothing was sent" in done.err
        assert "line 4: body is missing" in done.err
        assert simulator.stats()["requests"] == 0
        skipped = desk.run("run", "tasks.jsonl", "--on-bad-input", "skip", "--json")
        assert (skipped.code, skipped.json["bad_input"], skipped.json["tasks"]["succeeded"]) == (1, 2, 3)
        assert [row["line"] for row in desk.rows("tasks.bad.jsonl")] == [4, 5]

    def test_the_same_key_with_two_bodies_is_a_conflict(self, desk: Desk, simulate: Simulate) -> None:
        simulate()
        text = desk.batch("tasks.jsonl", 2).read_text()
        desk.write("tasks.jsonl", text + text.splitlines()[0].replace("hello", "bye"))
        done = desk.run("run", "tasks.jsonl", "--json")
        assert (done.code, done.json["error"]["kind"]) == (2, "conflict")

    @pytest.mark.parametrize(
        ("arguments", "kind", "words"),
        [
            (["nope.jsonl"], "input", "no file nope.jsonl"),
            (["tasks.jsonl", "-o", "none/out.jsonl"], "input", "no folder"),
            (["tasks.jsonl", "--model", "nope"], "input", "no model 'nope'"),
            (["tasks.jsonl", "--max-cost", "1", "--model", "free"], "budget", "needs a price"),
            (["tasks.jsonl", "--urgency", "soon"], "usage", "'soon' is not an urgency"),
            (["tasks.jsonl", "--frobnicate"], "usage", "--frobnicate"),
            (["tasks.jsonl", "--config", "none.toml"], "config", "no config at"),
            (["tasks.jsonl", "--store", "redis://x"], "config", "of no known kind"),
        ],
    )
    def test_usage(self, desk: Desk, arguments: list[str], kind: str, words: str) -> None:
        configure(desk)
        desk.write(
            "laneway.toml",
            (desk.folder / "laneway.toml").read_text() + '[models.free]\naccount = "main"\nid = "free-7b"\n',
        )
        desk.batch("tasks.jsonl", 1)
        done = desk.run("run", *arguments, "--json")
        assert done.code == 2
        assert done.json["error"]["kind"] == kind
        assert words in done.json["error"]["message"]

    def test_a_missing_key(self, desk: Desk) -> None:
        del desk.env["OPENAI_API_KEY"]
        desk.batch("tasks.jsonl", 1)
        done = desk.run("run", "tasks.jsonl", "--json")
        assert (done.code, done.json["error"]["kind"]) == (2, "auth")
        assert "OPENAI_API_KEY" in done.json["error"]["message"]

    def test_stores_that_cannot_be_used(self, desk: Desk, simulate: Simulate) -> None:
        simulator = simulate()
        desk.batch("tasks.jsonl", 3)
        desk.write("bad.db", "rubbish" * 500)
        done = desk.run("run", "tasks.jsonl", "--store", f"sqlite:///{desk.folder}/bad.db", "--json")
        assert (done.code, done.json["error"]["kind"]) == (3, "store")
        assert desk.run("run", "tasks.jsonl").code == 0
        desk.write("more.jsonl", (desk.folder / "tasks.jsonl").read_text())
        other = apsw.Connection(str(desk.folder / ".laneway" / "laneway.db"))
        other.execute("BEGIN IMMEDIATE")
        done = desk.run("run", "more.jsonl", "--json")
        assert (done.code, done.json["error"]["kind"]) == (3, "store")
        assert "locked" in done.json["error"]["message"]
        other.execute("ROLLBACK")
        other.close()
        assert desk.run("run", "more.jsonl").code == 0
        assert simulator.stats()["requests"] == 6

    def test_the_key_is_nowhere_to_be_found(self, desk: Desk, simulate: Simulate) -> None:
        simulate(key=["sk-other"])
        desk.env["OPENAI_API_KEY"] = canary = "sk-canary-7f3a9b2c1d"
        desk.batch("tasks.jsonl", 5)
        done = desk.run("run", "tasks.jsonl", "-vv", "--json")
        assert canary not in done.out + done.err
        for file in desk.folder.rglob("*"):
            assert file.is_dir() or canary.encode() not in file.read_bytes(), file


def test_the_demo_runs_without_a_key_and_says_that_it_is_simulated(desk: Desk) -> None:
    del desk.env["OPENAI_API_KEY"]
    desk.env["DEEPSEEK_API_KEY"] = "sk-never-shown"
    done = desk.run("demo", "--latency", "0.01", "--json")
    assert done.code == 0, done.err
    assert "DeepSeek (DEEPSEEK_API_KEY)" in done.err
    assert "sk-never-shown" not in done.err
    assert done.json["tasks"]["succeeded"] == done.json["tasks"]["total"] >= 300
    assert "simulated" in done.err
    assert len(done.json["by_lane"]) >= 4
    status = desk.run("status", "--config", "laneway-demo/laneway.toml", "--json").json
    assert status["runs"][0]["tasks"]["succeeded"] >= 300
    assert desk.run("results", "1", "--config", "laneway-demo/laneway.toml").out.count("\n") >= 300


def test_help_names_every_command(desk: Desk) -> None:
    done = desk.run("--help")
    assert done.code == 0
    for command in ("run", "demo", "status", "explain", "results", "cancel", "retry", "worker", "simulator"):
        assert command in done.out
    assert desk.run("--version").out.startswith("laneway ")
    assert Path(desk.folder / ".laneway").exists() is False
