"""``laneway triage train --label`` on the real command."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import Desk
from tests.learning.letters import PRESSING, letters


def table(path: Path, rows: list[tuple[str, str]], label: str = "category") -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", label), *rows])


def test_a_category_is_learnt_and_the_report_says_how_to_use_it(desk: Desk) -> None:
    (desk.folder / "laneway.toml").write_text("")
    table(desk.folder / "letters.csv", letters(150))
    done = desk.run("triage", "train", "letters.csv", "--label", "category")
    assert done.code == 0, done.err
    assert (desk.folder / "triage" / "category.npz").is_file()
    for said in ("150 examples of 3 labels", "macro-F1", "[triage]", 'category = "triage/category.npz"'):
        assert said in done.out
    told = desk.run("triage", "train", "letters.csv", "--label", "category", "-o", "x/m.npz", "--json").json
    assert told["config"] == {"section": "triage", "line": 'category = "x/m.npz"'}
    assert told["macro_f1"] > 0.9
    assert told["labels"]["billing"]["rows"] == 50


def test_urgency_is_learnt_for_a_stated_undertriage_and_with_the_configs_aliases(desk: Desk) -> None:
    (desk.folder / "laneway.toml").write_text('[urgency.urgent]\naliases = ["P1"]\n')
    rows = [(text, "P1" if label == "urgent" else label) for text, label in letters(150, of=PRESSING)]
    table(desk.folder / "letters.csv", rows, "label")
    told = desk.run("triage", "train", "letters.csv", "--label", "urgency", "--undertriage", "0.1", "--json").json
    assert list(told["labels"]) == ["relaxed", "standard", "urgent"]
    assert told["undertriage_wanted"] == 0.1
    shown = desk.run("triage", "train", "letters.csv", "--label", "urgency").out
    assert "Undertriage" in shown
    assert "overtriage" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv", "--label", "category"], "there is no file none.csv"),
        (["letters.csv"], "what is to be learnt"),
        (["letters.csv", "--label", "category", "--undertriage", "0.1"], "no order"),
        (["letters.csv", "--label", "urgency", "--least", "0.1"], "--undertriage says"),
        (["letters.csv", "--label", "complexity"], "no column complexity or label"),
        (["letters.csv", "--label", "urgency", "--column", "category"], "is no urgency"),
        (["letters.csv", "--label", "category", "--text", "prompt"], "no column prompt"),
        (["letters.csv", "--label", "category", "-o", "letters.csv/m.npz"], "cannot be written"),
        (["letters.csv", "--label", "priority"], "priority"),
    ],
)
def test_what_cannot_be_learnt_is_refused_with_a_hint(desk: Desk, words: list[str], said: str) -> None:
    table(desk.folder / "letters.csv", letters(60))
    done = desk.run("triage", "train", *words, "--json")
    assert done.code == 2
    error = done.json["error"]
    assert said in error["message"] + error["hint"]
    assert error["hint"]


def test_what_was_learnt_routes_the_next_tasks_whichever_way_they_come_in(desk: Desk) -> None:
    table(desk.folder / "letters.csv", letters(240))
    (desk.folder / "laneway.toml").write_text(
        '[accounts.main]\n[models.small]\naccount = "main"\nid = "s"\n[types.letter]\nprompt = "p.j2"\n'
        '[defaults]\nmodel = "small"\n[[rules]]\nwhen = { category = "delivery" }\nlane = "vans"\n'
    )
    (desk.folder / "p.j2").write_text("Answer: {{ text }}")
    assert desk.run("triage", "train", "letters.csv", "--label", "category").code == 0
    with (desk.folder / "laneway.toml").open("a") as file:
        file.write('[triage]\ncategory = "triage/category.npz"\n')
    assert desk.run("config", "check").code == 0
    desk.run("submit", "letter", "text=the courier has lost my parcel", "--key", "one")
    route = desk.run("explain", "one", "--json").json["route"]
    assert (route["category"], route["lane"]) == ("delivery", "vans")
    assert "learnt (category " in route["reasons"]["category"]
    shown = desk.run("explain", "one").out
    assert "category: delivery   (learnt (category " in shown
    with (desk.folder / "tasks.jsonl").open("w") as lines:
        lines.writelines(f'{{"text": "{text}"}}\n' for text, _ in letters(30, seed=4))
    planned = desk.run("plan", "tasks.jsonl", "--json")
    assert planned.code == 0, planned.err
    assert '"vans"' in planned.out
    (desk.folder / "triage" / "category.npz").write_bytes(b"PK\x03\x04")
    broken = desk.run("plan", "tasks.jsonl", "--json")
    assert broken.code == 2
    assert "triage.category" in broken.json["error"]["message"]
