"""``laneway triage train --from-store`` on the real command."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.test_triage_pilot import CONFIG
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]
ABOUT = {"billing": "the invoice {} was paid twice", "password": "my login {} does not work any more"}


@pytest.fixture
def lived_in(desk: Desk, simulate: Simulate) -> Desk:
    """A store with 220 answered tasks, the first half about invoices, and what somebody said of them."""
    simulate(models=desk.write("models.json", json.dumps({"small": {"quality": 0.5}, "strong": {}})), latency=0.001)
    desk.write("laneway.toml", CONFIG)
    desk.write("ask.j2", "Do what has to be done: {{ text }}")
    texts = [text.format(i) for text in ABOUT.values() for i in range(110)]
    desk.write("tasks.jsonl", "".join(json.dumps({"id": f"t{i}", "text": t}) + "\n" for i, t in enumerate(texts)))
    assert desk.run("run", "tasks.jsonl", "--type", "ask", "--model", "small", "-o", "a.jsonl").code == 0
    return desk


def say(desk: Desk, name: str, field: str, words: list[str]) -> None:
    rows = "".join(f"{i + 1},{word}\n" for i, word in enumerate(words))
    desk.write(name, "task,feedback\n" + rows)
    assert desk.run("feedback", "--file", name, "--field", field).code == 0


def test_labels_by_feedback_become_a_model_file(lived_in: Desk) -> None:
    desk = lived_in
    error = desk.run("triage", "train", "--from-store", "--label", "category", "--json").json["error"]
    assert error["kind"] == "input"
    assert "laneway feedback TASK LABEL --field category" in error["hint"]
    say(desk, "labels.csv", "category", ["billing"] * 110 + ["password"] * 110)
    done = desk.run("triage", "train", "--from-store", "--label", "category")
    assert done.code == 0, done.err
    assert "220 labelled texts in the store" in done.err
    assert (desk.folder / "triage" / "category.npz").stat().st_size > 0
    assert "has no" not in done.out
    assert desk.run("triage", "train", "--from-store", "--label", "category", "--since", "2030-01-01").code == 2


def test_pruned_tasks_teach_nothing_and_hidden_ones_are_not_asked(lived_in: Desk) -> None:
    desk = lived_in
    say(desk, "labels.csv", "category", ["billing"] * 110 + ["password"] * 110)
    desk.run("prune", "--older-than", "0s")
    done = desk.run("triage", "train", "--from-store", "--label", "category")
    assert done.code == 2
    assert "pruned: their texts are not there any more: 220" in done.err
    desk.write("laneway.toml", "hide_content = true\n" + CONFIG)
    error = desk.run("triage", "train", "--from-store", "--label", "category", "--json").json["error"]
    assert "holds words of the texts" in error["message"]


def test_outcomes_of_two_models_meet_by_their_text(lived_in: Desk) -> None:
    desk = lived_in
    error = desk.run("triage", "train", "--from-store", "--json").json["error"]
    assert "no outcomes" in error["message"]
    answers = {row["id"]: row["output"] for row in desk.rows("a.jsonl")}
    judged = ["bad" if answers[f"t{i}"].startswith("[uncertain]") else "good" for i in range(220)]
    say(desk, "small.csv", "quality", judged)
    error = desk.run("triage", "train", "--from-store", "--json").json["error"]
    assert "only how small did" in error["message"]
    assert desk.run("run", "tasks.jsonl", "--type", "ask", "--model", "strong", "-o", "b.jsonl").code == 0
    assert desk.run("feedback", "good", "--where", "model=strong", "--json").json["kept"] == 220
    done = desk.run("triage", "train", "--from-store")
    assert "220 texts with outcomes in the store" in done.err
    assert "small: feedback: 220" in done.err
    assert "strong: feedback: 220" in done.err
    assert "texts with outcomes of several models: 220" in done.err
    assert done.code == 0, done.err
    assert "quality" in done.out


def test_checks_are_outcomes_too(lived_in: Desk) -> None:
    desk = lived_in
    checks = 'checks = [{ pattern = "^Simulated" }]\nfallbacks = ["strong"]\nmodel = "small"\nmax_attempts = 2\n'
    desk.write("laneway.toml", CONFIG.replace("[defaults]", checks + "[defaults]"))
    rows = [{"id": f"n{i}", "text": f"another {i}"} for i in range(30)]
    desk.write("more.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    desk.run("run", "more.jsonl", "--type", "ask")
    done = desk.run("triage", "train", "--from-store")
    assert "small: checks of answers: 30" in done.err


def test_a_file_or_the_store(desk: Desk) -> None:
    for words in ((), ("x.csv", "--from-store"), ("x.csv", "--since", "3d")):
        assert desk.run("triage", "train", *words, "--json").json["error"]["kind"] == "usage"
