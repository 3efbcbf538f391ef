"""Flows through the command: a file of records, one flow each."""

from __future__ import annotations

import csv
from collections.abc import Callable

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

APP = """
from dataclasses import dataclass
from pathlib import Path
from laneway import Laneway, flow
lw = Laneway()

@dataclass
class Document:
    id: str
    doc: str

@lw.task
async def entities(doc: str) -> str:
    return await lw.call("small", "entities of " + doc)

@lw.task(lane="legal")
async def review(doc: str, found: str) -> str:
    if "bad" in doc and not Path("mended").exists():
        raise ValueError("what a document")
    return await lw.call("strong", "review " + doc)

@lw.flow
async def report(doc: str, pages: int = 1) -> dict:
    found, joined = await flow.gather(entities(doc), lw.call("small", "mood of " + doc))
    if "risky" in doc:
        joined = await review(doc, found)
    return {"pages": pages + 1, "risky": "risky" in doc}

@lw.flow
async def whole(document: Document) -> str:
    return document.id + document.doc

@lw.flow
async def double(n: int) -> int:
    return 2 * n

@lw.task
def shout(text: str) -> str:
    return text.upper()
"""
CONFIG = """
app = "tasks:lw"
[accounts.main]
provider = "openai"
concurrency = 8
[models.small]
account = "main"
id = "gpt-4o-mini"
input_price = 1.0
output_price = 2.0
[models.strong]
account = "main"
id = "gpt-4o"
input_price = 10.0
output_price = 20.0
[retry]
delays = ["10ms"]
"""
ROWS = 9  # of which every third is risky, and one of these bad


@pytest.fixture
def office(desk: Desk) -> Desk:
    """A desk with an app and a table."""
    desk.write("tasks.py", APP)
    desk.write("laneway.toml", CONFIG)
    texts = [f"{'risky' if i % 3 == 0 else 'plain'}{' bad' if i == 6 else ''} {i}" for i in range(ROWS)]
    desk.write("in.csv", "id,doc,pages,note\n" + "".join(f"d{i},{text},{i},x\n" for i, text in enumerate(texts)))
    return desk


def test_each_record_is_a_flow_and_the_books_are_those_of_all_it_began(office: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    done = office.run("run", "--flow", "report", "in.csv", "-o", "out.csv", "--json")
    assert done.code == 1, done.err
    said, seen = done.json, simulator.stats()
    assert (said["tasks"]["total"], said["tasks"]["succeeded"], said["tasks"]["failed"]) == (ROWS, ROWS - 1, 1)
    calls = 2 * ROWS + 2
    assert (said["calls"], seen["requests"], said["retries"]) == (calls, calls, 0)
    assert said["tokens"]["output"] == seen["output_tokens"]
    expected = {name: seen["by_model"][name] for name in ("gpt-4o-mini", "gpt-4o")}
    cost = sum(
        (books["input_tokens"] * price + books["output_tokens"] * 2 * price) / 1e6
        for books, price in zip(expected.values(), (1.0, 10.0), strict=True)
    )
    assert said["cost_usd"] == pytest.approx(cost, abs=1e-8)
    assert {name: one["tasks"] for name, one in said["by_type"].items()} == {
        "report": ROWS,
        "entities": ROWS,
        "report.call": ROWS,
        "review": 3,
    }
    assert {name: one["tasks"] for name, one in said["by_model"].items()} == {"small": 2 * ROWS, "strong": 2}
    assert said["by_lane"]["legal"]["tasks"] == 3
    assert "what a document" in said["failures"][0]["message"]
    with (office.folder / "out.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert list(rows["d1"]) == ["id", "doc", "pages", "note", "status", "output", "error", "model", "cost_usd"]
    assert rows["d1"]["output"] == '{"pages":2,"risky":false}', "a table's cell is a number where one is asked for"
    assert rows["d1"]["model"] == ""
    (failed,) = office.rows("out.csv.errors.jsonl")
    costs = [float(row["cost_usd"]) for row in rows.values()] + [failed["cost_usd"]]
    assert sum(costs) == pytest.approx(cost, abs=1e-7), "each row costs what its flow cost"


def test_again_keeps_what_is_finished_and_tries_what_failed_without_paying_its_children_again(
    office: Desk, simulate: Simulate
) -> None:
    simulator = simulate()
    command = ("run", "--flow", "report", "in.csv", "-o", "out.jsonl", "--json")
    assert office.run(*command).code == 1
    simulator.reset()
    office.write("mended", "")
    again = office.run(*command)
    assert again.code == 0, again.err
    assert (again.json["tasks"]["succeeded"], again.json["calls"]) == (ROWS, 1)
    assert simulator.stats()["requests"] == 1, "only the review that failed"
    assert sorted(row["id"] for row in office.rows("out.jsonl")) == [f"d{i}" for i in range(ROWS)]
    fresh = office.run(*command, "--fresh")
    assert fresh.json["calls"] == 2 * ROWS + 3


def test_what_a_flow_takes_may_be_a_record_a_text_or_a_value(office: Desk, simulate: Simulate) -> None:
    simulate()
    office.write("values.jsonl", "1\n2\n3\n")
    done = office.run("run", "--flow", "double", "values.jsonl", "-o", "doubled.jsonl", "--json")
    assert done.code == 0, done.err
    assert sorted((row["value"], row["output"]) for row in office.rows("doubled.jsonl")) == [(1, 2), (2, 4), (3, 6)]
    done = office.run("run", "--flow", "whole", "in.csv", "-o", "whole.jsonl")
    assert done.code == 0, done.err
    assert {row["output"] for row in office.rows("whole.jsonl")} >= {"d1plain 1", "d2plain 2"}
    office.write("letters/a.txt", "plain a")
    office.write("letters/b.txt", "plain b")
    done = office.run("run", "--flow", "report", "letters", "-o", "letters.jsonl", "--json")
    assert done.code == 0, done.err
    assert sorted(row["file"] for row in office.rows("letters.jsonl")) == ["a.txt", "b.txt"]


def test_a_python_task_is_run_by_its_type(office: Desk, simulate: Simulate) -> None:
    simulate()
    office.write("words.jsonl", '{"id": 1, "text": "abc"}\n{"id": 2, "content": "x"}\n')
    done = office.run("run", "--type", "shout", "-o", "loud.jsonl", "words.jsonl", "--json")
    assert done.code == 0, done.err
    assert sorted(row["output"] for row in office.rows("loud.jsonl")) == ["ABC", "X"]


def test_a_table_is_submitted_as_it_is_run(office: Desk, simulate: Simulate) -> None:
    simulate()
    said = office.run("submit", "report", "--file", "in.csv", "--lane", "legal", "--json")
    assert said.code == 0, said.err
    assert said.json["tasks"] == ROWS
    assert office.run("status", "--json").json["lanes"]["legal"] == {"ready": ROWS}
    assert office.run("explain", "d1", "--json").json["type"] == "report"


def test_what_cannot_be_a_call_is_said_before_anything_is_paid(office: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    office.write("bad.jsonl", '{"doc": "a", "pages": "two"}\n{"pages": 3}\n')
    done = office.run("run", "--flow", "report", "bad.jsonl", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "input")
    assert "line 1" in done.json["error"]["message"]
    assert "pages" in done.json["error"]["message"]
    assert "doc" in done.json["error"]["message"]
    assert simulator.stats()["requests"] == 0


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        (("--flow", "reports"), "not_found", "report, whole, double"),
        (("--flow", "entities"), "usage", "--type entities"),
        (("--flow", "report", "--model", "small"), "usage", "--model"),
        (("--flow", "report", "--prompt", "p.j2"), "usage", "--prompt"),
    ],
)
def test_a_flow_that_cannot_be_meant_is_refused(office: Desk, options: tuple[str, ...], kind: str, said: str) -> None:
    done = office.run("run", *options, "in.csv", "--json")
    error = done.json["error"]
    assert (done.code, error["kind"]) == (2, kind)
    assert said in error["message"] + error["hint"]


def test_without_an_app_it_says_what_to_give(desk: Desk) -> None:
    desk.write("in.jsonl", '{"doc": "a"}\n')
    done = desk.run("run", "--flow", "report", "in.jsonl", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "usage")
    assert "--app" in done.json["error"]["hint"]


def test_further_processes_work_on_the_flows_too(office: Desk, simulate: Simulate) -> None:
    simulator = simulate(latency=0.2)
    done = office.run("run", "--flow", "report", "in.csv", "-o", "out.jsonl", "--processes", "2", "--json")
    assert done.code == 1, done.err
    assert done.json["calls"] == simulator.stats()["requests"] == 2 * ROWS + 2
