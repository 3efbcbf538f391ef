"""``laneway triage train`` and ``evaluate`` on tables of outcomes, on the real command."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.test_steer import configure
from tests.conftest import Desk
from tests.learning.outcome_tables import rows, shuffled


def write(path: Path, table: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def test_what_a_choice_saves_is_told_before_and_a_file_is_judged_alike(desk: Desk) -> None:
    (desk.folder / "laneway.toml").write_text("")
    write(desk.folder / "seen.csv", rows(400))
    shown = desk.run("triage", "train", "seen.csv")
    assert shown.code == 0, shown.err
    for said in (
        "route: ",
        "of large's quality",
        "undertriage",
        "by the task's type alone",
        'model = "triage/model.npz"',
    ):
        assert said in shown.out
    (desk.folder / "later.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(400, seed=8)))
    told = desk.run("triage", "evaluate", "later.jsonl", "--model", "triage/model.npz", "--json").json
    assert told["routable"] is True
    assert told["saved"]["98"] > 0.2
    assert told["trained_on_this"] is False
    again = desk.run("triage", "evaluate", "seen.csv", "--model", "triage/model.npz")
    assert "this very table" in again.err


def test_the_floor_comes_from_the_config_or_the_command(desk: Desk) -> None:
    (desk.folder / "laneway.toml").write_text("[triage]\nquality_floor = 0.9\n")
    write(desk.folder / "table.csv", shuffled(rows(300)))
    assert desk.run("triage", "evaluate", "table.csv", "--json").json["quality_floor"] == 0.9
    told = desk.run("triage", "evaluate", "table.csv", "--quality-floor", "0.99", "--json").json
    assert (told["quality_floor"], told["verdict"], told["use"]) == (0.99, "not_routable", "large")


def test_a_run_is_routed_and_each_task_explains_why(desk: Desk, simulate: Callable[..., SimulatorProcess]) -> None:
    simulate()
    configure(desk)
    config = desk.folder / "laneway.toml"
    config.write_text(
        config.read_text() + '[models.large]\naccount = "main"\nid = "large"\n[triage]\nmodel = "triage/model.npz"\n'
    )
    write(desk.folder / "seen.csv", rows(400))
    assert desk.run("triage", "train", "seen.csv").code == 0
    (desk.folder / "homework.j2").write_text("{{ text }}")
    tasks = [{"id": f"t{at}", "text": row["text"]} for at, row in enumerate(rows(40, seed=3))]
    (desk.folder / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    done = desk.run("run", "tasks.jsonl", "--prompt", "homework.j2", "--json")
    assert done.code == 0, done.err
    assert {"small", "large"} <= done.json["by_model"].keys()
    shown = desk.run("explain", "t1").out
    assert "learnt (model " in shown
    assert "floor 0.98" in shown


@pytest.mark.parametrize(
    ("columns", "words", "said"),
    [
        ("text,quality:small", [], "nothing to choose"),
        ("text,answer", [], "no table of outcomes"),
        ("text,quality:small,quality:large,quality:x", [], "does not say what its 3 models cost"),
        ("text,quality:small,quality:large", ["--cost", "small"], "--cost small"),
        ("text,quality:small,quality:large", ["--cost", "tiny=1"], "no model tiny"),
    ],
)
def test_what_is_missing_is_said(desk: Desk, columns: str, words: list[str], said: str) -> None:
    (desk.folder / "laneway.toml").write_text("")
    row = ",".join(["1"] * len(columns.split(",")))
    (desk.folder / "table.csv").write_text(f"{columns}\n{row}\n")
    done = desk.run("triage", "evaluate", "table.csv", *words)
    assert done.code == 2
    assert said in done.err
