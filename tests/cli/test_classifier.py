"""The classifier through the real command: what it finds, what it costs, and every way in which it may not answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.working import at_work, until
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]
CONFIG = """
[accounts.main]
provider = "openai"
concurrency = 20
[accounts.asking]
provider = "openai"
base_url = "{asking}"
[models.small]
account = "main"
id = "small"
input_price = 1
output_price = 1
[models.strong]
account = "main"
id = "strong"
input_price = 5
output_price = 5
[models.nurse]
account = "asking"
id = "nurse"
input_price = 0.15
output_price = 0.60
[types.ticket]
prompt = "ticket.j2"
[[rules]]
when = {{ category = "fraud" }}
model = "strong"
lane = "fraud"
[defaults]
model = "small"
[triage.classifier]
model = "nurse"
timeout = "{timeout}"
tasks_per_call = 5
fields = {{ category = {{ fraud = "money taken without consent", billing = "invoices" }} }}
"""
N = 20


def prepare(desk: Desk, simulate: Simulate, timeout: str = "20s", **asking: Any) -> SimulatorProcess:
    """A desk with tickets and two providers; returns the classifier's."""
    simulate()
    main = desk.env["OPENAI_BASE_URL"]
    nurse = simulate(**asking)
    desk.env["OPENAI_BASE_URL"] = main
    desk.write("laneway.toml", CONFIG.format(asking=nurse.url, timeout=timeout))
    desk.write("ticket.j2", "{{ text }}")
    rows = [{"id": str(n), "text": f"ticket {n}: who took my money?"} for n in range(N)]
    desk.write("in.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return nurse


def run(desk: Desk, *options: str, name: str = "in.jsonl") -> dict[str, Any]:
    done = desk.run("run", name, "--type", "ticket", "--json", *options)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return found


def store_of(desk: Desk) -> Path:
    return desk.folder / ".laneway" / "laneway.db"


class TestAnswers:
    def test_tasks_go_where_they_say_and_only_they_are_tasks(self, desk: Desk, simulate: Simulate) -> None:
        nurse = prepare(desk, simulate)
        told = run(desk)
        assert told["tasks"] == {
            **dict.fromkeys(("failed", "cancelled", "deduplicated", "remaining"), 0),
            "total": N,
            "succeeded": N,
        }
        asked = told["triage"]
        assert (asked["asked"], asked["calls"], asked["unheard"]) == (N, 4, 0)
        assert asked["answered"] + asked["abstained"] == N
        assert told["calls"] == N + 4
        assert sorted(row["id"] for row in desk.rows("in.results.jsonl")) == sorted(str(n) for n in range(N))
        models = Counter(row["model"] for row in desk.rows("in.results.jsonl"))
        assert set(models) == {"small", "strong"}
        assert told["by_lane"]["fraud"]["tasks"] == models["strong"]
        assert set(told["by_type"]) == {"ticket"}
        own = sum(row["cost_usd"] for row in desk.rows("in.results.jsonl"))
        assert 0 < asked["cost_usd"] == pytest.approx(told["cost_usd"] - own)
        assert nurse.stats()["requests"] == 4
        again = run(desk)
        assert (again["calls"], again["triage"]["asked"]) == (0, 0)
        assert nurse.stats()["requests"] == 4

    def test_the_same_texts_are_paid_once(self, desk: Desk, simulate: Simulate) -> None:
        nurse = prepare(desk, simulate)
        first = run(desk)
        second = run(desk, "-o", "other.jsonl")
        assert second["triage"]["from_cache"] == N
        assert (second["triage"]["asked"], second["triage"]["cost_usd"]) == (0, 0.0)
        assert nurse.stats()["requests"] == 4
        assert second["by_model"]["strong"]["tasks"] == first["by_model"]["strong"]["tasks"]
        assert second["cost_usd"] == pytest.approx(first["cost_usd"] - first["triage"]["cost_usd"])

    def test_explain_and_status_tell_it(self, desk: Desk, simulate: Simulate) -> None:
        prepare(desk, simulate)
        said = desk.run("run", "in.jsonl", "--type", "ticket").err
        assert f"triage   the classifier was asked about {N} tasks" in said
        told = json.loads(desk.run("explain", "3", "--json").out)
        (question,) = told["classifier"]
        assert question["together_with"] == 4
        assert question["cost_usd"] > 0
        text = desk.run("explain", "3").out
        assert "the classifier was asked at " in text
        if question["said"]:
            assert f"category: {question['said']['category']}   (classifier nurse)" in text
        assert f"classifier in the last 24 h: asked about {N} tasks in 4 calls, $0.0" in desk.run("status").out
        assert json.loads(desk.run("status", "1", "--json").out)["triage"]["asked"] == N

    def test_plan_says_what_asking_would_cost(self, desk: Desk, simulate: Simulate) -> None:
        nurse = prepare(desk, simulate)
        planned = desk.run("plan", "in.jsonl", "--type", "ticket", "--json").json
        (note,) = [note for note in planned["notes"] if "classifier" in note]
        assert f"the classifier nurse is asked about {N} tasks" in note
        assert nurse.stats()["requests"] == 0
        told = run(desk)
        guessed = float(note.split("$")[1].split()[0])
        assert told["triage"]["cost_usd"] / 2 < guessed < told["triage"]["cost_usd"] * 2
        others = desk.run("plan", "in.jsonl", "--type", "ticket", "-o", "other.jsonl", "--json").json
        assert not [note for note in others["notes"] if "classifier" in note], "all is known"


class TestNoAnswers:
    """A task whose verdict does not come is done with its safe route: never lost, never held up."""

    def safe(self, desk: Desk, told: dict[str, Any]) -> None:
        assert told["tasks"]["succeeded"] == N
        assert (told["triage"]["unheard"], told["triage"]["answered"]) == (N, 0)
        assert {row["model"] for row in desk.rows("in.results.jsonl")} == {"small"}
        assert "no usable answer in time, so the safe route" in desk.run("explain", "3").out
        assert "sound" in desk.run("store", "check").out

    def test_it_takes_too_long(self, desk: Desk, simulate: Simulate) -> None:
        prepare(desk, simulate, "1s", latency=30)
        told = run(desk)
        self.safe(desk, told)
        assert told["seconds"] < 8

    def test_it_fails(self, desk: Desk, simulate: Simulate) -> None:
        prepare(desk, simulate, "2s", error_rate=1.0)
        told = run(desk)
        self.safe(desk, told)
        assert told["triage"]["cost_usd"] == 0.0
        assert told["seconds"] < 8

    def test_it_talks_nonsense(self, desk: Desk, simulate: Simulate) -> None:
        nurse = prepare(desk, simulate, malformed_rate=1.0)
        told = run(desk)
        assert told["tasks"]["succeeded"] == N
        assert told["triage"]["unheard"] + told["triage"]["answered"] + told["triage"]["abstained"] == N
        assert told["triage"]["unheard"] > 0
        assert told["seconds"] < 15, "what makes no sense is not waited for"
        assert 4 <= nurse.stats()["requests"] <= 8, "twice each at most"
        assert told["triage"]["cost_usd"] > 0, "it was paid for"

    def test_its_key_is_refused(self, desk: Desk, simulate: Simulate) -> None:
        prepare(desk, simulate, "1s", key="another")
        told = run(desk)
        self.safe(desk, told)
        assert told["stopped_reason"] is None

    def test_its_lane_is_paused(self, desk: Desk, simulate: Simulate) -> None:
        """Known before: then nobody waits for it."""
        nurse = prepare(desk, simulate)
        paused = desk.run("pause", "lane", "triage")
        assert paused.code == 0, paused.err
        told = run(desk)
        assert (told["tasks"]["succeeded"], told["triage"]["asked"]) == (N, 0)
        assert told["seconds"] < 5
        assert nurse.stats()["requests"] == 0

    def test_the_budget_ends_before_it(self, desk: Desk, simulate: Simulate) -> None:
        prepare(desk, simulate, "1s")
        done = desk.run("run", "in.jsonl", "--type", "ticket", "--json", "--max-cost", "0.0000001")
        told = json.loads(done.out.splitlines()[-1])
        assert (done.code, told["stopped_reason"], told["cost_usd"]) == (3, "budget", 0.0)


DIE = """
import os, signal, sys
from laneway.store.sqlite import SQLiteStore
hear = SQLiteStore.hear
async def last(self, *rest):
    if "after" in os.environ["DIE"]:
        await hear(self, *rest)
    os.kill(os.getpid(), signal.SIGKILL)
SQLiteStore.hear = last
from laneway.cli.main import main
main()
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_beside_the_verdicts(desk: Desk, simulate: Simulate, when: str) -> None:
    """With an answer in its hands, before it is written, or just after, before the question is settled."""
    nurse = prepare(desk, simulate)
    desk.env["DIE"] = when
    command = [sys.executable, "-c", DIE, "run", "in.jsonl", "--type", "ticket"]
    died = subprocess.run(command, cwd=desk.folder, env=desk.env, capture_output=True, timeout=60, check=False)
    assert died.returncode == -9, died.stderr
    told = run(desk)
    assert told["tasks"]["succeeded"] == N
    assert Counter(row["id"] for row in desk.rows("in.results.jsonl")) == {str(n): 1 for n in range(N)}
    assert told["whole_run"]["lost"] >= 1
    assert told["triage"]["unheard"] == 0, "what waited still is asked about again"
    assert nurse.stats()["requests"] <= (8 if when == "before" else 7), "what is written is not asked again"
    assert "sound" in desk.run("store", "check").out


def test_tasks_for_a_worker_of_another_process(desk: Desk, simulate: Simulate) -> None:
    """One by one, as a file, and from Python; the worker knows nothing of rules."""
    nurse = prepare(desk, simulate)
    with at_work(desk):
        one = json.loads(desk.run("submit", "ticket", "text=who took my money?", "--json").out)
        filed = desk.run("submit", "ticket", "--file", "in.jsonl", "--json")
        assert filed.code == 0, filed.err
        program = (
            "import asyncio\nfrom laneway import Laneway\nlw = Laneway()\nasync def main():\n"
            "    jobs = await lw.submit_many('ticket', [{'text': f'python {n}'} for n in range(7)])\n"
            "    print([len(await job.result(30)) > 0 for job in jobs])\n    await lw.close()\nasyncio.run(main())\n"
        )
        done = desk.python("-c", program)
        assert done.out.strip() == str([True] * 7), done.err
        until(lambda: not json.loads(desk.run("status", "--json").out)["waiting"], "all are asked about")
    assert nurse.stats()["requests"] == 1 + 4 + 2
    told = json.loads(desk.run("explain", str(one["task"]), "--json").out)
    assert len(told["classifier"]) == 1


def test_on_a_server(desk: Desk, simulate: Simulate, postgres_url: str) -> None:
    """The same on PostgreSQL, with two processes; and what was said is known to all of them."""
    nurse = prepare(desk, simulate)
    desk.env["LANEWAY_STORE"] = postgres_url
    told = run(desk, "--processes", "2")
    assert (told["tasks"]["succeeded"], told["triage"]["asked"], told["triage"]["unheard"]) == (N, N, 0)
    assert Counter(row["id"] for row in desk.rows("in.results.jsonl")) == {str(n): 1 for n in range(N)}
    again = run(desk, "-o", "other.jsonl")
    assert (again["triage"]["from_cache"], again["triage"]["calls"]) == (N, 0)
    assert nurse.stats()["requests"] == 4
    assert "sound" in desk.run("store", "check").out


def test_after_examples_only_what_they_abstain_from_is_asked(desk: Desk, simulate: Simulate) -> None:
    """A file that examples taught finds most; its labels are those that the classifier may choose from."""
    nurse = prepare(desk, simulate)
    words = {"fraud": "stolen card unknown charge", "billing": "invoice refund paid twice", "access": "password login"}
    rows = [
        {"text": f"{said.split()[n % 2]} {said}, case {n}", "category": label}
        for n in range(40)
        for label, said in words.items()
    ]
    desk.write("train.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    taught = desk.run("triage", "train", "train.jsonl", "--label", "category", "-o", "category.npz")
    assert taught.code == 0, taught.err
    config = (desk.folder / "laneway.toml").read_text().split("fields = ")[0]
    desk.write("laneway.toml", config + 'fields = { category = {} }\n[triage]\ncategory = "category.npz"\n')
    known = [{"id": f"k{n}", "text": "my card was stolen, an unknown charge"} for n in range(6)]
    odd = [{"id": f"o{n}", "text": f"hm {n} ???"} for n in range(4)]
    desk.write("in.jsonl", "".join(json.dumps(row) + "\n" for row in known + odd))
    told = run(desk)
    assert (told["triage"]["asked"], nurse.stats()["requests"]) == (4, 1)
    models = {row["id"]: row["model"] for row in desk.rows("in.results.jsonl")}
    assert {models[f"k{n}"] for n in range(6)} == {"strong"}
    found = desk.run("explain", "k0", "--json").json
    assert found["classifier"] == []
    assert found["route"]["category"] == "fraud"
    assert 0 < found["route"]["confidence"] <= 1
