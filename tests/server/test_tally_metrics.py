"""Prometheus's counters and histograms from the figures by time, on a real store and a clock of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from laneway import Laneway
from laneway.clock import ManualClock
from laneway.config.models import Config
from laneway.server.exposition import Families
from laneway.server.fleet_metrics import FleetMetrics
from laneway.store.tallies import Tally, TallyKind, bucket
from tests.server.scraping import Samples, scraped, value

HOUR = 3600.0


@pytest.fixture
async def lw(tmp_path: Path) -> AsyncIterator[Laneway]:
    clock = ManualClock(1_000_000 * HOUR)
    made = Laneway(Config(folder=tmp_path), store=f"sqlite:///{tmp_path}/s.db", env={}, clock=clock)
    yield made
    await made.close()


async def count(
    lw: Laneway, kind: TallyKind, name: str, ago: float = 0.0, team: str | None = None, **sums: Any
) -> None:
    now = lw.clock.now()
    tally = Tally(int(now - ago), team, kind, name, wait={bucket(0.2): 3}, run={bucket(20.0): 3})
    await lw.store.add_tallies([tally._replace(**sums)], now)


async def look(metrics: FleetMetrics) -> Samples:
    return scraped(generate_latest(Families(await metrics.read())).decode())


async def test_counters_begin_at_nothing_and_grow_over_the_hours(lw: Laneway) -> None:
    clock = lw.clock
    assert isinstance(clock, ManualClock)
    metrics = FleetMetrics(lw)
    await count(lw, TallyKind.LANE, "legal", succeeded=5)
    first = await look(metrics)
    assert value(first, "laneway_ended_tasks_total", lane="legal", outcome="succeeded") == 0, "it was before our time"
    assert value(first, "laneway_task_run_seconds_count", lane="legal") == 0
    await count(lw, TallyKind.LANE, "legal", succeeded=3, team="a")
    await count(lw, TallyKind.MODEL, "small", input_tokens=70, output_tokens=7, cost=2)
    await count(lw, TallyKind.ACCOUNT, "main", calls=4, retries=1, rate_limited=2)
    second = await look(metrics)
    assert value(second, "laneway_ended_tasks_total", lane="legal", outcome="succeeded") == 3, "of all teams"
    assert value(second, "laneway_tokens_total", model="small", direction="input") == 70
    assert value(second, "laneway_cost_usd_total", model="small") == 2
    assert value(second, "laneway_rate_limited_calls_total", account="main") == 2
    assert value(second, "laneway_task_wait_seconds_bucket", lane="legal", le="0.1") == 0
    assert value(second, "laneway_task_wait_seconds_bucket", lane="legal", le="0.25") == 3
    assert value(second, "laneway_task_run_seconds_sum", lane="legal") == pytest.approx(60, rel=0.1)
    for hours in (1, 2, 30):
        clock.advance(hours * HOUR)
        await count(lw, TallyKind.LANE, "legal", succeeded=1)
        await count(lw, TallyKind.LANE, "legal", succeeded=1, ago=HOUR / 2)  # told late, perhaps of the hour before
        before, second = second, await look(metrics)
        ended = [value(one, "laneway_ended_tasks_total", lane="legal", outcome="succeeded") for one in (before, second)]
        assert ended[1] - ended[0] == 2
    assert value(second, "laneway_task_run_seconds_count", lane="legal") == 3 + 6 * 3


async def test_names_beyond_the_bound_are_added_up(lw: Laneway) -> None:
    metrics = FleetMetrics(lw)
    await look(metrics)
    for number in range(120):
        await count(lw, TallyKind.TYPE, f"type-{number}", failed=1)
    found = await look(metrics)
    assert value(found, "laneway_ended_tasks_by_type_total", outcome="failed") == 120
    assert value(found, "laneway_ended_tasks_by_type_total", type="other", outcome="failed") == 20
