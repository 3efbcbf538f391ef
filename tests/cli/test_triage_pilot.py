"""``laneway triage pilot`` on the real command, against the simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

CONFIG = """\
# ours
[accounts.main]
provider = "openai"
concurrency = 20
[models.small]
account = "main"
id = "small"
input_price = 1
output_price = 1
[models.strong]   # the good one
account = "main"
id = "strong"
input_price = 10
output_price = 10
[types.ask]
prompt = "ask.j2"     # what is asked
[defaults]
model = "strong"
"""


def configure(desk: Desk, simulate: Simulate, quality: float, more: str = "") -> SimulatorProcess:
    models = {"small": {"quality": quality}, "strong": {}}
    simulator = simulate(models=desk.write("models.json", json.dumps(models)), latency=0.001)
    desk.write("laneway.toml", CONFIG + more)
    desk.write("ask.j2", "Say: {{ text }}")
    rows = [{"id": f"q{i}", "text": f"question {i}"} for i in range(300)]
    desk.write("tasks.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return simulator


def pilot(desk: Desk, *options: str) -> Mapping[str, Any]:
    done = desk.run("triage", "pilot", "tasks.jsonl", "--type", "ask", "--models", "small,strong", "--json", *options)
    assert done.code == 0, done.err
    return done.json


def test_a_cheap_model_that_does_as_well_is_advised_and_written(desk: Desk, simulate: Simulate) -> None:
    simulator = configure(desk, simulate, 1.0)
    found = pilot(desk, "--quality-floor", "0.9", "--write")
    assert found["advice"] == "cheap"
    assert found["quality_kept"]["value"] == 1.0
    assert 0.92 < found["quality_kept"]["low"] < 0.94
    assert abs(found["saved"]["value"] - 0.9) < 0.01
    assert found["agree"] == 1.0
    assert simulator.stats()["requests"] == 100
    config = (desk.folder / "laneway.toml").read_text()
    assert 'prompt = "ask.j2"     # what is asked\nmodel = "small"\nfallbacks = ["strong"]\n' in config
    assert config.startswith("# ours\n")
    assert "[models.strong]   # the good one" in config
    assert (desk.folder / "laneway.toml.before-pilot").read_text() == CONFIG
    assert desk.run("config", "check").code == 0

    rows = desk.rows("tasks.pilot.jsonl")
    assert len(rows) == 50
    assert {"key", "type", "prompt", "quality:small", "cost:strong", "answer:small"} <= rows[0].keys()
    assert (desk.folder / "tasks.pilot.jsonl").stat().st_mode & 0o077 == 0


def test_nothing_is_paid_twice_and_a_larger_sample_holds_the_smaller(desk: Desk, simulate: Simulate) -> None:
    simulator = configure(desk, simulate, 0.5)
    first = pilot(desk, "--sample", "30")
    assert simulator.stats()["requests"] == 60
    assert pilot(desk, "--sample", "30") == first
    assert simulator.stats()["requests"] == 60
    more = pilot(desk, "--sample", "100")
    assert simulator.stats()["requests"] == 200
    assert more["cost_usd"] > first["cost_usd"]
    assert more["advice"] == "learned"
    assert 0.35 < more["quality_kept"]["value"] < 0.65
    text = desk.run("triage", "pilot", "tasks.jsonl", "--type", "ask", "--models", "small,strong", "--sample", "100")
    assert "0 calls to make" in text.err
    assert "small alone loses too much" in text.out
    assert "quality kept" in text.out


def test_the_users_run_is_not_disturbed(desk: Desk, simulate: Simulate) -> None:
    configure(desk, simulate, 0.5)
    assert desk.run("run", "tasks.jsonl", "--type", "ask", "--limit", "40", "--json").json["tasks"]["succeeded"] == 40
    pilot(desk, "--sample", "300")
    assert desk.run("explain", "q1", "--json").json["model"] == "strong"
    again = desk.run("run", "tasks.jsonl", "--type", "ask", "--limit", "40", "--json").json
    assert again["calls"] == 0


def test_the_budget_is_kept_before_anything_is_paid(desk: Desk, simulate: Simulate) -> None:
    simulator = configure(desk, simulate, 1.0)
    words = ("triage", "pilot", "tasks.jsonl", "--type", "ask", "--models", "small,strong", "--json")
    error = desk.run(*words, "--max-cost", "0.0001").json["error"]
    assert error["kind"] == "budget"
    assert "100 calls may cost up to $" in error["message"]
    assert simulator.stats()["requests"] == 0
    for more, told in (
        (("--models", "small"), "two names"),
        (("--models", "small,small"), "compares two models"),
        (("--scorer", "x"), "module:function"),
        (("--scorer", "no:thing"), "cannot be loaded"),
        (("--judge", "small", "--scorer", "math:sqrt"), "not both"),
        (("--reference", "gold"), "has no gold"),
    ):
        error = desk.run(*words, *more).json["error"]
        assert told in error["message"] + error["hint"], error


def test_a_scorer_says_how_good_answers_are(desk: Desk, simulate: Simulate) -> None:
    configure(desk, simulate, 0.5)
    desk.write(
        "ours.py",
        "def score(answer, reference, record):\n"
        "    assert record['text'].startswith('question') and reference\n"
        "    return 0.25 if answer.startswith('[uncertain]') else 1\n",
    )
    found = pilot(desk, "--scorer", "ours:score", "--sample", "100")
    assert found["compared_by"] == "scored by ours:score"
    qualities = [row["quality:small"] for row in desk.rows("tasks.pilot.jsonl")]
    assert set(qualities) == {0.25, 1.0}
    assert abs(found["quality_kept"]["value"] - sum(qualities) / 100) < 0.001


def test_a_judge_is_marked_paid_and_asked_only_where_answers_differ(desk: Desk, simulate: Simulate) -> None:
    simulator = configure(desk, simulate, 0.5)
    found = pilot(desk, "--judge", "strong", "--sample", "60")
    differ = sum(row["answer:small"] != row["answer:strong"] for row in desk.rows("tasks.pilot.jsonl"))
    assert found["judged"] == differ == simulator.stats()["requests"] - 120
    assert found["compared_by"] == "judged by strong"
    assert found["judge_cost_usd"] > 0
    assert all(row["compared_by"] == "judged by strong" for row in desk.rows("tasks.pilot.jsonl"))


def test_a_reference_column_is_the_right_answer(desk: Desk, simulate: Simulate) -> None:
    configure(desk, simulate, 0.5)
    rows = [{"id": f"q{i}", "text": f"question {i}", "gold": "no model says this"} for i in range(40)]
    desk.write("tasks.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = pilot(desk, "--reference", "gold")
    assert found["tasks"] == 40
    assert found["quality_kept"] is None
    assert found["advice"] == "more"


def test_long_texts_compared_word_by_word_condemn_nobody(desk: Desk, simulate: Simulate) -> None:
    models = desk.write("models.json", json.dumps({"small": {"quality": 0.3}, "strong": {}}))
    simulate(models=models, latency=0.001, output_tokens=200)
    desk.write("laneway.toml", CONFIG)
    desk.write("ask.j2", "Say: {{ text }}")
    desk.write("tasks.csv", "id,text\n" + "".join(f"{i},question {i}\n" for i in range(40)))
    done = desk.run("triage", "pilot", "tasks.csv", "--type", "ask", "-o", "out.csv", "--write")
    assert done.code == 0, done.err
    assert "that two differ word by word says little" in done.out
    assert "nothing was written" in done.out
    assert (desk.folder / "out.csv").read_text().startswith("key,type,prompt,quality:small")
    assert (desk.folder / "laneway.toml").read_text() == CONFIG


def test_a_route_that_can_be_learnt_is_learnt_and_written(desk: Desk, simulate: Simulate) -> None:
    configure(desk, simulate, 0.0)
    kinds = ("translate the word number {}", "prove that the sum {} is even, with all steps")
    rows = [{"id": i, "text": kinds[i % 2].format(i)} for i in range(260)]
    desk.write("tasks.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    desk.write(
        "ours.py",
        "def score(answer, reference, record):\n"
        "    return float('translate' in record['text'] or not answer.startswith('[uncertain]'))\n",
    )
    assert pilot(desk, "--scorer", "ours:score", "--write")["written"] is None, "50 outcomes are too few"
    found = pilot(desk, "--scorer", "ours:score", "--sample", "260", "--write")
    assert found["advice"] == "learned"
    assert found["written"]
    said = (desk.folder / "laneway.toml").read_text()
    assert '[triage]\nmodel = "triage/model.npz"\nquality_floor = 0.98\n' in said
    assert desk.run("config", "check").code == 0
    done = desk.run("run", "tasks.jsonl", "--type", "ask", "--json").json
    assert 100 <= done["by_model"]["small"]["tasks"] <= 140


def test_batch_files_are_routed_by_a_rule(desk: Desk, simulate: Simulate) -> None:
    configure(desk, simulate, 1.0)
    desk.batch("batch.jsonl", 60, model="strong")
    done = desk.run("triage", "pilot", "batch.jsonl", "--quality-floor", "0.9", "--write", "--json")
    assert done.json["models"] == {"cheap": "small", "strong": "strong"}
    assert done.json["advice"] == "cheap"
    assert 'when = {type = "chat"}' in (desk.folder / "laneway.toml").read_text()
    again = desk.run("run", "batch.jsonl", "--triage", "--json").json
    assert list(again["by_model"]) == ["small"]
