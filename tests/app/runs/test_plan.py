"""The planner on a store that has seen something: learnt limits, the day's rest, pauses, what is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from laneway.app.laneway import Laneway
from laneway.app.runs.batch import BatchOptions
from laneway.app.runs.plan import Plan, Planner
from laneway.app.runs.taking_in import OnBadInput
from laneway.config.load import load
from laneway.errors import BudgetError
from laneway.intake.options import ReadOptions
from laneway.store.steering import PauseKind

CONFIG = """
[accounts.main]
provider = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.small]
account = "main"
id = "gpt-4o-mini"
[models.strong]
account = "main"
id = "gpt-4o"
[lanes.general]
concurrency = 4
"""


class Office:
    """A folder with a config and tasks, and plans made in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configure(CONFIG)
        self.tasks(100)

    def configure(self, text: str) -> None:
        (self.folder / "laneway.toml").write_text(text)

    def tasks(self, n: int, **body: Any) -> None:
        with (self.folder / "tasks.jsonl").open("w") as file:
            for i in range(n):
                request = {"model": "small", "messages": [{"role": "user", "content": f"hello {i}"}], "max_tokens": 50}
                line = {"custom_id": f"t{i}", "method": "POST", "url": "/v1/chat/completions", "body": request | body}
                file.write(json.dumps(line) + "\n")

    def laneway(self) -> Laneway:
        env = {"OPENAI_API_KEY": "sk-test", "XDG_STATE_HOME": str(self.folder / "state")}
        return Laneway(load([self.folder / "laneway.toml"], env=env, cwd=self.folder), env=env)

    async def plan(self, **options: Any) -> Plan:
        async with self.laneway() as lw:
            return await Planner(lw, BatchOptions(str(self.folder / "tasks.jsonl"), **options)).plan()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def test_limits_learnt_from_headers_count_like_configured_ones(office: Office) -> None:
    assert (await office.plan()).estimate.bound_by == "lane general"
    async with office.laneway() as lw:
        state = {"limits": {"requests_per_minute": 30.0}, "levels": {}}
        await lw.store.save_state("account:main", state, lw.clock.now())
    plan = await office.plan()
    assert plan.estimate.bound_by == "main: requests_per_minute"
    assert plan.estimate.seconds.low > 150
    assert not any("no limits are known" in note for note in plan.notes)


async def test_what_is_left_of_a_days_requests_is_what_counts(office: Office) -> None:
    office.configure(CONFIG.replace("[models.small]", "requests_per_day = 200\n[models.small]"))
    assert (await office.plan()).estimate.seconds.high < 3600
    async with office.laneway() as lw:
        await lw.store.save_state("account:main", {"levels": {"requests_per_day": 40.0}}, lw.clock.now())
    plan = await office.plan()
    assert plan.estimate.bound_by == "main: requests_per_day"
    assert 20_000 < plan.estimate.seconds.low < 60 * 86_400 / 200


async def test_a_paused_lane_is_told(office: Office) -> None:
    async with office.laneway() as lw:
        await lw.store.pause(PauseKind.LANE, "general", lw.clock.now())
        await lw.store.pause(PauseKind.LANE, "other", lw.clock.now())
    notes = (await office.plan()).notes
    assert [note for note in notes if "paused" in note] == [
        "lane general is paused: its tasks wait until it is resumed"
    ]


async def test_tasks_that_another_run_may_spare_are_told(office: Office) -> None:
    def told(plan: Plan) -> list[str]:
        return [note for note in plan.notes if "dedupe_for" in note]

    office.configure(CONFIG + '[types.chat]\ndedupe_for = "1h"\n')
    assert not told(await office.plan()), "there is no other run"
    async with office.laneway() as lw:
        await lw.store.runs(1)
    plan = await office.plan()
    assert plan.to_do == 100
    (note,) = told(plan)
    assert note.startswith("100 tasks have dedupe_for: those that another run did within that time cost nothing")
    assert not told(await office.plan(fresh=True)), "then all are done"


async def test_the_strongest_is_the_dearest_of_the_config(office: Office) -> None:
    plan = await office.plan()
    assert plan.strongest is not None
    assert plan.strongest.name == "strong"
    assert plan.saved is not None
    assert plan.saved.low > 0
    own = await office.plan(read=ReadOptions(model="strong"))
    assert own.saved is not None
    assert own.saved.high == pytest.approx(0)


async def test_a_budget_fits_does_not_or_it_depends(office: Office) -> None:
    cost = (await office.plan()).estimate.cost
    assert cost is not None
    for amount, fits in ((cost.high * 1.01, True), (cost.low * 0.99, False), ((cost.low + cost.high) / 2, None)):
        assert (await office.plan(max_cost=amount)).fits is fits


async def test_the_missing_price_lines_name_only_what_is_missing(office: Office) -> None:
    remote = CONFIG.replace("http://127.0.0.1:9/v1", "https://api.openai.com/v1").replace("gpt-4o-mini", "gpt-own")
    office.configure(remote + "")
    with pytest.raises(BudgetError) as refused:
        await office.plan(max_cost=1.0)
    assert "[models.small]" in refused.value.hint
    assert "strong" not in refused.value.hint
    office.configure(remote.replace('id = "gpt-own"', 'id = "gpt-own"\ninput_price = 0.5'))
    with pytest.raises(BudgetError) as refused:
        await office.plan(max_cost=1.0)
    assert "output_price = " in refused.value.hint
    assert "input_price" not in refused.value.hint


async def test_bad_lines_are_counted_where_they_are_skipped(office: Office) -> None:
    with (office.folder / "tasks.jsonl").open("a") as file:
        file.write("{not json\n")
    plan = await office.plan(on_bad_input=OnBadInput.SKIP)
    assert (plan.to_do, plan.bad_input) == (100, 1)
    assert not list(office.folder.glob("*.bad.jsonl"))


async def test_several_answers_for_each_task_count_as_so_many(office: Office) -> None:
    plan = await office.plan(read=ReadOptions(samples=3, limit=10))
    assert plan.to_do == 30


async def test_a_hosted_accounts_idle_minute_is_in_the_low_time_and_said_so(office: Office) -> None:
    limited = CONFIG.replace("concurrency = 4", "")
    limited = limited.replace("[models.small]", "requests_per_minute = 60\n[models.small]")
    office.configure(limited)
    assert not any("go at once" in note for note in (await office.plan()).notes), "a server on this machine"
    office.configure(limited.replace("http://127.0.0.1:9/v1", "https://api.openai.com/v1"))
    plan = await office.plan()
    assert 35 < plan.estimate.seconds.low < 45
    assert any("60 s worth of requests_per_minute go at once" in note for note in plan.notes)


async def test_a_fallback_without_a_price_is_named(office: Office) -> None:
    own = CONFIG.replace('"gpt-4o"', '"gpt-own"') + '[defaults]\nmodel = "small"\nfallbacks = ["strong"]\n'
    office.configure(own)
    plan = await office.plan(read=ReadOptions(triage=True))
    assert plan.estimate.cost is not None
    assert any("no price is known for the fallback strong" in note for note in plan.notes)
