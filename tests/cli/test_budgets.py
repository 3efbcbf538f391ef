"""Budgets a day on the real command: a run stops at one, says so, and goes on when it may."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

# 1 USD a million tokens: of one of these calls about 12 + 10 tokens, so some 2 cents a thousand calls.
CONFIG = """
[accounts.main]
concurrency = 4
[models.small]
account = "main"
id = "gpt-4o-mini"
input_price = 1000
output_price = 1000
[models.free]
account = "main"
id = "free-7b"
[lanes.legal]
{lane}
[defaults]
model = "small"
lane = "legal"
"""


def configure(desk: Desk, lane: str = "budget_per_day = 0.10", more: str = "") -> None:
    desk.write("laneway.toml", more + CONFIG.format(lane=lane))


def test_a_run_stops_at_the_budget_and_goes_on_when_it_is_raised(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    configure(desk)
    desk.batch("tasks.jsonl", 20, model="small", max_tokens=10)
    done = desk.run("run", "tasks.jsonl", "--json")
    assert (done.code, done.json["stopped_reason"]) == (3, "budget")
    said = done.json["stopped_message"]
    assert said.startswith("the budget of lane legal is used up: $0.")
    assert "of $0.1000 spent today; the same command goes on after 00:00 UTC" in said
    assert said.endswith("or now with a higher budget_per_day under [lanes.legal]")
    first = done.json["tasks"]["succeeded"]
    per_call = done.json["cost_usd"] / first
    assert 0.10 <= done.json["cost_usd"] < 0.10 + per_call  # only the last call passed it
    assert simulator.stats()["completed"] == first

    again = desk.run("run", "tasks.jsonl", "--json")
    assert (again.code, again.json["calls"], again.json["tasks"]["succeeded"]) == (3, 0, first)

    configure(desk, "budget_per_day = 5")
    last = desk.run("run", "tasks.jsonl", "--json")
    assert (last.code, last.json["tasks"]["succeeded"]) == (0, 20)
    assert simulator.stats()["completed"] == 20  # nothing was paid twice
    assert len(desk.rows("tasks.results.jsonl")) == 20


def test_a_new_day_has_a_budget_of_its_own(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    configure(desk)
    desk.batch("tasks.jsonl", 8, model="small", max_tokens=10)
    assert desk.run("run", "tasks.jsonl").code == 3
    first = simulator.stats()["completed"]
    yesterday(desk)
    assert desk.run("run", "tasks.jsonl").code in (0, 3)
    assert simulator.stats()["completed"] > first


def yesterday(desk: Desk) -> None:
    """What was done today is from yesterday. No connection of ours is open on the store then."""
    db = sqlite3.connect(desk.folder / ".laneway" / "laneway.db")
    with db:
        db.execute("UPDATE spending SET day = day - 1")
        db.execute("UPDATE attempt SET started_at = started_at - 86400")
        db.execute("UPDATE task SET wake_at = wake_at - 86400 WHERE wait_reason = 'budget'")
    db.close()


def test_a_type_goes_on_when_its_budget_is_raised_or_the_day_is_over(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    kinds = "[types.chat]\nbudget_per_day = {}\n"
    configure(desk, "", kinds.format(0.05))
    desk.batch("tasks.jsonl", 12, model="small", max_tokens=10)
    done = desk.run("run", "tasks.jsonl", "--json")
    assert (done.code, done.json["stopped_reason"]) == (3, "budget")
    assert "the budget of type chat is used up" in done.json["stopped_message"]
    first = done.json["tasks"]["succeeded"]
    assert 0 < first < 12
    desk.run("cancel", "t11")
    desk.run("retry", "t11")  # it is ready, and will step aside when its turn comes
    assert "held by the budget of type chat" in desk.run("explain", "t11").out
    planned = desk.run("plan", "tasks.jsonl").out
    assert "the budget of type chat is used up" in planned
    assert "higher budget_per_day under [types.chat]" in planned.replace("\n", " ").replace("  ", " ")
    yesterday(desk)
    done = desk.run("run", "tasks.jsonl", "--json")
    assert done.json["tasks"]["succeeded"] == 2 * first
    configure(desk, "", kinds.format(5))
    done = desk.run("run", "tasks.jsonl", "--json")
    assert (done.code, done.json["tasks"]["succeeded"]) == (0, 12)
    assert simulator.stats()["completed"] == 12


def test_what_it_says_to_people(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk, more="budget_per_day = 2\n")
    desk.batch("tasks.jsonl", 20, model="small", max_tokens=10)
    planned = desk.run("plan", "tasks.jsonl")
    assert "the budget of lane legal has $0.1000 of $0.1000 left today, and this takes" in planned.out
    assert "the budget of the project" not in planned.out
    done = desk.run("run", "tasks.jsonl")
    assert "stopped: the budget of lane legal is used up" in done.err
    status = desk.run("status", "--json").json
    project, lane = status["budgets"]
    assert (project["kind"], project["limit_usd"], project["used_up"]) == ("project", 2, False)
    assert (lane["kind"], lane["name"], lane["used_up"]) == ("lane", "legal", True)
    assert lane["waiting"] == status["runs"][0]["tasks"]["ready"]
    assert lane["spent_usd"] == project["spent_usd"] >= 0.10
    assert lane["reserved_usd"] == 0
    text = desk.run("status").out
    assert "budget of lane legal: $0.1" in text
    assert "used up; its work goes on at 00:00 UTC" in text
    assert "held by the budget of lane legal: $0.1" in desk.run("explain", "t19").out
    assert desk.run("explain", "t19", "--json").json["budgets"][0]["name"] == "legal"
    assert desk.run("explain", "t0", "--json").json["budgets"] == []
    findings = {one["check"]: one for one in desk.run("doctor", "--json").json["checks"]}
    assert findings["budget lane legal"]["status"] == "warning"
    assert "raise budget_per_day under [lanes.legal]" in findings["budget lane legal"]["next"]
    assert findings["budget the project"]["status"] == "ok"
    assert "model free" in findings["budget"]["said"]


def test_without_a_price_no_budget_can_be_kept(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    configure(desk, "budget_per_day = 5")
    desk.batch("tasks.jsonl", 2, model="free")
    for command in ("run", "plan"):
        done = desk.run(command, "tasks.jsonl", "--json")
        assert (done.code, done.json["error"]["kind"]) == (2, "budget")
        said = "the budget of lane legal needs a price for every model; there is none for free"
        assert done.json["error"]["message"] == said
        assert "input_price" in done.json["error"]["hint"]
    assert simulator.stats()["requests"] == 0


def test_nothing_may_be_a_budget_too(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    configure(desk, "budget_per_day = 0")
    desk.batch("tasks.jsonl", 3, model="small")
    assert desk.run("run", "tasks.jsonl").code == 3
    assert simulator.stats()["requests"] == 0


def test_the_runs_own_budget_is_kept_through_the_days(desk: Desk, simulate: Simulate) -> None:
    """A stop at the day's budget does not begin the run's anew."""
    simulate()
    configure(desk)
    desk.batch("tasks.jsonl", 30, model="small", max_tokens=10)
    first = desk.run("run", "tasks.jsonl", "--max-cost", "0.2", "--json").json
    assert first["goes_on_at"] is not None
    configure(desk, "budget_per_day = 50")
    second = desk.run("run", "tasks.jsonl", "--max-cost", "0.2", "--json").json
    assert (second["stopped_reason"], second["goes_on_at"]) == ("budget", None)
    assert first["cost_usd"] + second["cost_usd"] <= 0.2


PYTHON = """
import asyncio, json
from laneway import Laneway, TaskFailed

lw = Laneway()

@lw.task
async def twice(n: int) -> str:
    return await lw.call("small", f"hello {n}", max_tokens=10) + await lw.call("small", f"again {n}", max_tokens=10)

@lw.task
async def unpriced(n: int) -> str:
    return await lw.call("free", f"hello {n}", max_tokens=10)

async def spent() -> dict[str, float]:
    return {str(budget): one.spent for budget, one in (await lw.store.spending(lw.clock.now())).items()}

async def main() -> None:
    said = ""
    async with lw.worker():
        jobs = [await lw.submit(twice, n) for n in range(6)]
        while (await spent()).get("lane legal", 0) < 0.05:
            await asyncio.sleep(0.02)
        try:
            await (await lw.submit(unpriced, 1, lane="general")).result(timeout=20)
        except TaskFailed as error:
            said = str(error)
    states = sorted({task.state.value for task in await lw.store.get_tasks([job.id for job in jobs])})
    print(json.dumps({"states": states, "books": await spent(), "faults": await lw.store.check(), "said": said}))
    await lw.close()

asyncio.run(main())
"""


def test_a_python_tasks_own_calls_count_and_wait(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    more = "[types.twice]\nbudget_per_day = 4\n[types.unpriced]\nbudget_per_day = 4\n"
    configure(desk, "budget_per_day = 0.05", more)
    done = desk.python(str(desk.write("main.py", PYTHON)))
    assert done.code == 0, done.err
    found = json.loads(done.out.splitlines()[-1])
    assert found["faults"] == []
    assert found["books"]["lane legal"] == found["books"]["type twice"] == found["books"]["account main"]
    assert 0.05 <= found["books"]["lane legal"] < 0.05 + 4 * 0.025
    assert "ready" in found["states"]  # what waited with a call when the worker left stands in the queue again
    assert "failed" not in found["states"]
    assert simulator.stats()["completed"] < 12
    assert "there is no price for model free" in found["said"]
