"""``laneway plan`` as people meet it: the real command beside the real ``run``, on the simulator."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.plan import compare, draw
from tests.conftest import Desk

CONFIG = """
[accounts.main]
provider = "openai"
base_url = "http://127.0.0.1:9/v1"
requests_per_minute = 600
[models.small]
account = "main"
id = "gpt-4o-mini"
[models.strong]
account = "main"
id = "gpt-4o"
[types.letter]
prompt = "letter.j2"
max_output_tokens = 80
[[rules]]
when = { text = "/court/" }
lane = "legal"
urgency = "urgent"
model = "strong"
[lanes.legal]
concurrency = 1
[defaults]
model = "small"
"""


def everything_in(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def letters(desk: Desk, n: int = 60) -> None:
    desk.write("laneway.toml", CONFIG)
    desk.write("letter.j2", "Answer this letter: {{ text }}")
    rows = [{"id": i, "text": f"letter {i}" + (" from the court" if i % 6 == 0 else "")} for i in range(n)]
    desk.write("letters.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def test_it_says_what_goes_where_what_it_costs_and_what_binds_and_touches_nothing(desk: Desk) -> None:
    letters(desk)
    before = everything_in(desk.folder)
    done = desk.run("plan", "letters.jsonl", "--type", "letter", "--json")
    assert done.code == 0
    said = done.json
    assert everything_in(desk.folder) == before
    assert said["tasks"] == {"total": 60, "done": 0, "to_do": 60, "deduplicated": 0}
    assert said["by_lane"]["legal"] == {"tasks": 10, "by_model": {"strong": 10}, "by_urgency": {"urgent": 10}}
    assert said["by_lane"]["general"]["by_model"] == {"small": 50}
    assert said["by_model"]["small"]["tasks"] == 50
    assert 0 < said["by_model"]["small"]["cost_usd"]["low"] < said["by_model"]["small"]["cost_usd"]["high"]
    assert said["cost_usd"]["high"] < said["strongest"]["cost_usd"]["high"]
    assert said["strongest"]["model"] == "strong"
    assert said["saved"]["cost_usd"]["low"] > 0
    assert 5 < said["seconds"]["low"] <= said["seconds"]["high"]
    assert said["tokens"]["output"]["high"] <= 60 * 80 * 1.05
    assert shlex.split(said["next"]) == ["laneway", "run", "letters.jsonl", "--type", "letter"]
    assert any("no history for small" in note for note in said["notes"])


def test_people_get_a_table_the_limit_and_the_next_command(desk: Desk) -> None:
    letters(desk)
    done = desk.run("plan", "letters.jsonl", "--type", "letter", "--lane", "general", "--concurrency", "50")
    assert done.code == 0
    assert "60 tasks to do" in done.out
    assert "held by main: requests_per_minute" in done.out
    assert "with everything on strong: saves $" in done.out
    assert "next: laneway run letters.jsonl --type letter --lane general --concurrency 50\n" in done.out
    assert max(len(line) for line in done.out.splitlines() if not line.startswith(("next", "  or"))) <= 100


def test_a_batch_file_needs_no_config_and_no_key_and_makes_no_store(desk: Desk) -> None:
    desk.batch("tasks.jsonl", 30, max_tokens=40)
    del desk.env["OPENAI_API_KEY"]
    done = desk.run("plan", "tasks.jsonl", "--json")
    assert done.code == 0
    assert done.json["by_model"]["gpt-4o-mini"]["cost_usd"]["low"] > 0
    assert any("OPENAI_API_KEY" in note for note in done.json["notes"])
    assert any("no limits are known for account openai" in note for note in done.json["notes"])
    assert [path.name for path in desk.folder.iterdir()] == ["tasks.jsonl"]


def test_it_finds_the_same_faults_as_a_run(desk: Desk) -> None:
    desk.batch("tasks.jsonl", 2)
    with (desk.folder / "tasks.jsonl").open("a") as file:
        file.write('{"custom_id": "x", "body": {}}\n')
    before = everything_in(desk.folder)
    for arguments in (
        ("tasks.jsonl",),
        ("missing.jsonl",),
        ("tasks.jsonl", "-o", "out.txt"),
        ("tasks.jsonl", "--urgency", "soon"),
    ):
        planned, ran = (desk.run(verb, *arguments, "--json") for verb in ("plan", "run"))
        assert (planned.code, planned.json) == (2, ran.json)
        shutil.rmtree(desk.folder / ".laneway", ignore_errors=True)
    skipping = desk.run("plan", "tasks.jsonl", "--on-bad-input", "skip", "--json").json
    assert (skipping["tasks"]["to_do"], skipping["bad_input"]) == (2, 1)
    assert everything_in(desk.folder) == before, "no file of bad lines either"


def test_two_bodies_under_one_key_are_a_conflict_and_the_same_twice_is_one_task(desk: Desk) -> None:
    desk.batch("tasks.jsonl", 3)
    text = (desk.folder / "tasks.jsonl").read_text()
    desk.write("twice.jsonl", text + text)
    said = desk.run("plan", "twice.jsonl", "--json").json
    assert said["tasks"] == {"total": 3, "done": 0, "to_do": 3, "deduplicated": 3}
    desk.write("conflict.jsonl", text + text.replace("hello", "good day"))
    done = desk.run("plan", "conflict.jsonl", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "conflict")


def test_what_is_done_already_is_not_planned_again(desk: Desk, simulate: Callable[..., Any]) -> None:
    simulate(latency=0.05, output_tokens=7)
    desk.batch("tasks.jsonl", 40, max_tokens=50)
    assert desk.run("run", "tasks.jsonl", "--limit", "25", "--concurrency", "10").code == 0
    before = everything_in(desk.folder)
    said = desk.run("plan", "tasks.jsonl", "--concurrency", "10", "--json").json
    assert everything_in(desk.folder) == before
    assert said["tasks"] == {"total": 40, "done": 25, "to_do": 15, "deduplicated": 0}
    assert said["by_model"]["gpt-4o-mini"]["past_calls"] == 25
    assert said["tokens"]["output"]["low"] <= 15 * 7 <= said["tokens"]["output"]["high"] <= 15 * 9
    assert desk.run("plan", "tasks.jsonl", "--fresh", "--json").json["tasks"]["to_do"] == 40
    desk.run("run", "tasks.jsonl")
    done = desk.run("plan", "tasks.jsonl")
    assert done.out.startswith("nothing to do, 40 done already")


def test_a_budget_is_told_whether_it_will_do(desk: Desk) -> None:
    letters(desk)
    for amount, fits, words in (("10", True, "stays within $10.00"), ("0.000001", False, "does not stay within")):
        assert (
            desk.run("plan", "letters.jsonl", "--type", "letter", "--max-cost", amount, "--json").json["fits"] is fits
        )
        assert words in desk.run("plan", "letters.jsonl", "--type", "letter", "--max-cost", amount).out


def test_a_budget_without_a_price_shows_the_lines_that_are_missing(desk: Desk) -> None:
    letters(desk)
    config = CONFIG.replace('id = "gpt-4o"', 'id = "our-own"').replace("127.0.0.1:9", "models.example.com")
    desk.write("laneway.toml", config.replace('provider = "openai"', 'provider = "openai-compatible"'))
    for verb in ("plan", "run"):
        done = desk.run(verb, "letters.jsonl", "--type", "letter", "--max-cost", "1", "--json")
        assert (done.code, done.json["error"]["kind"]) == (2, "budget")
        assert "[models.strong]" in done.json["error"]["hint"]
        assert "input_price = " in done.json["error"]["hint"]


def test_the_lines_shown_to_somebody_without_a_config_are_a_whole_one(desk: Desk) -> None:
    desk.batch("tasks.jsonl", 3, model="our.own/model")
    done = desk.run("plan", "tasks.jsonl", "--max-cost", "1", "--json")
    assert done.code == 2
    lines = done.json["error"]["hint"].splitlines()[1:]
    desk.write("laneway.toml", "\n".join(line.strip() for line in lines))
    again = desk.run("plan", "tasks.jsonl", "--max-cost", "1", "--json")
    assert again.code == 0, again.out
    assert again.json["by_model"]["our.own/model"]["cost_usd"]["high"] > 0


def test_an_unknown_price_is_unknown_and_never_nothing(desk: Desk) -> None:
    desk.batch("tasks.jsonl", 3, model="our-own")
    said = desk.run("plan", "tasks.jsonl", "--json").json
    assert said["cost_usd"] is None
    assert said["cost_unknown_models"] == ["our-own"]
    assert said["by_model"]["our-own"]["cost_usd"] is None
    assert "cost     unknown: there is no price for our-own" in desk.run("plan", "tasks.jsonl").out


def test_the_ranges_hold_what_comes_true() -> None:
    """The benchmark's mixes, a second long each: one held by requests, one by slots, one by nothing that is known. No
    run is faster than physics; one in six may be slower than was to be expected."""
    mixes = [draw(seed, seconds=1.0) for seed in (2000, 2004, 2006)]
    with ThreadPoolExecutor(len(mixes)) as threads:
        done = list(threads.map(compare, mixes))
    plans = [one[part] for one in done for part in ("cold", "warm")]
    assert all(plan["cost_usd"]["within"] for plan in plans), done
    assert all(plan["seconds"]["low"] <= plan["seconds"]["true"] for plan in plans), done
    assert sum(plan["seconds"]["within"] for plan in plans) >= 5, done
    assert all(one["warm"]["cost_usd"]["width"] < 2 for one in done)
