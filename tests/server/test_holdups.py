"""What keeps a run from going on, as its page says it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from laneway.app.laneway import Laneway
from laneway.app.views.runs import lines
from laneway.clock import ManualClock
from laneway.server.audit import Audit
from laneway.server.backpressure import Gate
from laneway.server.bulk import Bulk
from laneway.server.caller import LOCAL, Caller
from laneway.server.dashboard.holdups import holdups
from laneway.server.dashboard.page import Asked
from laneway.server.verbs import Verbs
from laneway.store.runs import Run
from laneway.store.steering import PauseKind
from tests.store.helpers import LEASE, NOW, new, run_with

CONFIG = """
[accounts.main]
base_url = "http://127.0.0.1:9/v1"
api_key_env = "NO_KEY"
[models.small]
id = "small-1"
account = "main"
[defaults]
model = "small"
"""
TEAM = Caller("shop", "web")


@pytest.fixture
async def lw(tmp_path: Path) -> AsyncIterator[Laneway]:
    path = tmp_path / "laneway.toml"
    path.write_text(CONFIG)
    async with Laneway(path, store=f"sqlite:///{tmp_path}/store.db", clock=ManualClock(NOW)) as app:
        yield app


async def said(lw: Laneway, run: Run, caller: Caller = LOCAL) -> list[str]:
    audit = Audit(lw)
    verbs = Verbs(lw, audit, Gate(lw))
    asked = Asked(lw, audit, verbs, Bulk(lw, verbs), caller, {}, {})
    (line,) = await lines(lw, [await lw.store.get_run(run.id)])
    return await holdups(asked, line, await lw.store.tally(run.id))


async def test_without_a_worker_nothing_goes_on(lw: Laneway) -> None:
    run = await run_with(lw.store, [new("a", "1")])
    assert await said(lw, run) == ["No worker is there: start one by `laneway worker`."]
    await lw.store.join("w", LEASE, NOW)
    assert await said(lw, run) == []


async def test_pauses_and_limits_are_named_to_those_who_see_accounts(lw: Laneway) -> None:
    run = await run_with(lw.store, [new("a", "1")])
    await lw.store.join("w", LEASE, NOW)
    await lw.store.describe_worker("w", {"binds": "main: concurrency"}, NOW)
    for kind, name in ((PauseKind.RUN, str(run.id)), (PauseKind.LANE, "general"), (PauseKind.LANE, "other")):
        await lw.store.pause(kind, name, NOW)
    assert sorted(await said(lw, run)) == [
        "It is paused.",
        "Lane general is paused.",
        "Work is held back by main: concurrency.",
    ]
    assert "main" not in str(await said(lw, run, TEAM))


async def test_a_budget_needs_prices(lw: Laneway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_KEY", "sk-test")
    run = await run_with(lw.store, [new("a", "1")], max_cost=5.0)
    await lw.store.join("w", LEASE, NOW)
    (only,) = await said(lw, run)
    assert only.startswith("It has a budget, and what small costs is not known")


async def test_a_run_that_comes_in_waits_for_its_end(lw: Laneway) -> None:
    run = await lw.store.open_run("out", info={}, max_cost=None, now=NOW)
    await lw.store.submit(run, [new("a", "1")], NOW, held=True)
    assert (await said(lw, run))[0].startswith("It is still coming in")
    await lw.store.seal_run(run, NOW)
    assert not any("coming in" in one for one in await said(lw, run))
