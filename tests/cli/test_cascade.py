"""Weak answers go on to the stronger model: the real command, a file that was learnt, the simulator's own books."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from laneway.learning.answers import Answered, train
from laneway.simulator.answers import say
from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

CONFIG = """
[accounts.main]
provider = "openai"
concurrency = 10
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
[types.letter]
prompt = "letter.j2"
{more}
[triage]
answers = "triage/answers.npz"
[defaults]
model = "small"
fallbacks = ["strong"]
"""
SMALL = {"quality": 0.5, "input_price": 0.15, "output_price": 0.60}
MODELS = {"gpt-4o-mini": SMALL, "gpt-4o": {"input_price": 2.5, "output_price": 10.0}}


def learnt(path: Path) -> None:
    """From what the simulator says to other letters than those of the test."""
    prompts = [f"Answer letter {i}" for i in range(1000, 1200)]
    said = [say(0, prompt, None, 0.5, 40, None) for prompt in prompts]
    quality = {"small": np.array([float(one.good) for one in said]), "strong": np.ones(len(said))}
    train(Answered(prompts, quality, {"small": [one.text for one in said]})).write(path)


@pytest.fixture
def letters(desk: Desk) -> Desk:
    desk.write("laneway.toml", CONFIG.format(more=""))
    desk.write("letter.j2", "Answer letter {{ text }}")
    desk.write("models.json", json.dumps(MODELS))
    desk.write("letters.jsonl", "".join(json.dumps({"id": f"l{i}", "text": str(i)}) + "\n" for i in range(60)))
    learnt(desk.folder / "triage" / "answers.npz")
    return desk


def test_weak_answers_are_asked_for_again_of_the_stronger_model(
    letters: Desk, simulate: Callable[..., SimulatorProcess]
) -> None:
    simulator = simulate(models=letters.folder / "models.json", output_tokens=40)
    done = letters.run("run", "letters.jsonl", "-o", "out.jsonl", "--json")
    assert done.code == 0, done.err
    books = simulator.stats()["by_model"]
    weak = books["gpt-4o-mini"]["completed"] - books["gpt-4o-mini"]["good"]
    assert 15 < weak < 45
    assert books["gpt-4o"]["completed"] == weak, "those, and no others"
    share = weak / books["gpt-4o-mini"]["completed"]
    cost = pytest.approx(share * books["gpt-4o-mini"]["cost_usd"], rel=0.05)
    assert done.json["escalated"] == {"answers": weak, "cost_usd": cost}
    assert done.json["cost_usd"] == pytest.approx(simulator.stats()["cost_usd"])
    assert f"{weak} answers, for which a stronger model was asked" in done.err
    rows = letters.rows("out.jsonl")
    assert not [row["id"] for row in rows if row["output"].startswith("[uncertain]")]
    assert {row["model"] for row in rows} == {"small", "strong"}
    gone = next(row["id"] for row in rows if row["model"] == "strong")
    told = letters.run("explain", gone).out
    assert "1. small on main: escalated" in told
    assert "probably not good enough: good at" in told
    assert "2. strong on main: ok" in told


def test_a_type_may_keep_its_answers_as_they_come(letters: Desk, simulate: Callable[..., SimulatorProcess]) -> None:
    letters.write("laneway.toml", CONFIG.format(more="escalate = false"))
    simulator = simulate(models=letters.folder / "models.json", output_tokens=40)
    done = letters.run("run", "letters.jsonl", "-o", "out.jsonl", "--json")
    assert done.code == 0, done.err
    assert done.json["escalated"] == {"answers": 0, "cost_usd": 0}
    assert set(simulator.stats()["by_model"]) == {"gpt-4o-mini"}


def test_a_stronger_model_that_refuses_leaves_the_answer_that_is_there(
    letters: Desk, simulate: Callable[..., SimulatorProcess]
) -> None:
    letters.write("models.json", json.dumps({"gpt-4o-mini": SMALL, "strict": True}))
    simulate(models=letters.folder / "models.json", output_tokens=40)
    done = letters.run("run", "letters.jsonl", "-o", "out.jsonl", "--json")
    assert done.code == 0, done.err
    rows = letters.rows("out.jsonl")
    assert len(rows) == 60
    assert {(row["status"], row["model"], row["error"]) for row in rows} == {("succeeded", "small", None)}
    kept = next(row["id"] for row in rows if row["output"].startswith("[uncertain]"))
    assert "the answer is that of attempt 1: no stronger model gave one" in letters.run("explain", kept).out


def test_a_run_that_stops_for_its_budget_delivers_what_was_answered(
    letters: Desk, simulate: Callable[..., SimulatorProcess]
) -> None:
    """The weak answers come first; for most of them the stronger model is not paid any more."""
    simulator = simulate(models=letters.folder / "models.json", output_tokens=40)
    done = letters.run("run", "letters.jsonl", "-o", "out.jsonl", "--max-cost", "0.005", "--json")
    books = simulator.stats()["by_model"]
    weak = books["gpt-4o-mini"]["completed"] - books["gpt-4o-mini"]["good"]
    assert books["gpt-4o"]["completed"] < weak
    rows = letters.rows("out.jsonl")
    assert len(rows) == books["gpt-4o-mini"]["completed"] == done.json["tasks"]["succeeded"]
    assert {row["model"] for row in rows} == {"small", "strong"}
    assert "no stronger model could be asked" in done.err
    assert done.code == (0 if len(rows) == 60 else 3)


def test_a_table_of_outcomes_teaches_which_answers_go_on(
    letters: Desk, simulate: Callable[..., SimulatorProcess]
) -> None:
    """As somebody would do it: a table with answers, one command, one line in the config."""
    (letters.folder / "triage" / "answers.npz").unlink()
    prompts = [f"Answer letter {i}" for i in range(1000, 1200)]
    said = [say(0, prompt, None, 0.5, 40, None) for prompt in prompts]
    columns = "text,quality:small,quality:strong,answer:small\n"
    rows = [f'{prompt},{int(one.good)},1,"{one.text}"\n' for prompt, one in zip(prompts, said, strict=True)]
    letters.write("outcomes.csv", columns + "".join(rows))
    config = letters.write("train.toml", CONFIG.format(more="").partition("[triage]")[0])
    train = ("triage", "train", "outcomes.csv", "--answers", "-o", "triage/answers.npz", "--config", str(config))
    hint = letters.run("triage", "train", "outcomes.csv", "-o", "triage/model.npz", "--config", str(config)).out
    assert "with --answers it teaches" in hint
    told = letters.run(*train)
    assert told.code == 0, told.err
    assert "small first, then strong where its answer is probably not good enough" in told.out
    again = letters.run(*train, "--json").json
    (way,) = again["cascades"]
    assert (way["model"], way["further"], way["rows"]) == ("small", "strong", 200)
    assert way["quality_kept"] >= again["quality_floor"] == 0.98
    judged = letters.run("triage", "evaluate", "outcomes.csv", "--config", str(config), "--json").json["cascades"]
    assert [(one["model"], one["further"]) for one in judged] == [("small", "strong")]
    assert judged[0]["apgr"] > 0.7
    assert judged[0]["cpt50"] < 0.3
    simulator = simulate(models=letters.folder / "models.json", output_tokens=40)
    done = letters.run("run", "letters.jsonl", "-o", "out.jsonl", "--json")
    assert done.json["escalated"]["answers"] == simulator.stats()["by_model"]["gpt-4o"]["completed"] > 0


def test_a_table_without_answers_says_what_is_missing(letters: Desk) -> None:
    letters.write("outcomes.csv", "text,quality:small,quality:strong\n" + "a,1,1\n" * 100)
    done = letters.run("triage", "train", "outcomes.csv", "--answers", "--json")
    assert done.code == 2
    assert "has no answers to learn from" in done.json["error"]["message"]
    assert "answer:NAME" in done.json["error"]["hint"]
