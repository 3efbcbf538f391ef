"""Pages of a store with hundreds of lanes, types, models and accounts, some with names that are meant to hurt."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from laneway.store.tallies import Tally, TallyKind
from laneway.task import Spec, Wire
from tests.dashboard.browsing import LARGEST
from tests.server.door import Door
from tests.server.served import CONFIG
from tests.store.helpers import ROUTE, new, open_run

MANY = 400
SLOWEST_S = 0.2
EVIL = '<script>alert("x")</script><img src=//evil.example/x onerror=alert(1)>'
LISTS = ("/lanes", "/accounts", "/models", "/types")
PAGES = ("/", *LISTS, "/workers", "/types?period=month", "/lanes/name-7", "/accounts/a3")


@pytest.fixture
async def crowded(tmp_path: Path) -> AsyncIterator[Door]:
    models = "".join(f'[models.m{i}]\naccount = "a{i}"\nid = "gpt-4o"\n' for i in range(MANY))
    accounts = "".join(f'[accounts.a{i}]\nprovider = "openai"\nrequests_per_minute = 9\n' for i in range(MANY))
    door = Door(tmp_path, CONFIG.replace("[[rules]]", f"{accounts}{models}[[rules]]"))
    store, now = door.lw.store, door.clock.now()
    names = [EVIL, *(f"name-{i}" for i in range(MANY))]
    run = await open_run(store)
    tasks = [new(str(i), spec=Spec(one, Wire.CHAT), route=ROUTE._replace(lane=one)) for i, one in enumerate(names)]
    await store.submit(run, tasks, now)
    tallies = [
        Tally(int(now), None, kind, name, 9, 1, 0, 12, 2, 1, 900, 90, 0.5, {50: 5, 60: 5}, {40: 5, 44: 5})
        for kind in (TallyKind.LANE, TallyKind.TYPE, TallyKind.MODEL, TallyKind.ACCOUNT)
        for name in names
    ]
    await store.add_tallies([*tallies, Tally(int(now), None, TallyKind.ALL, "", 9, 1)], now)
    await store.save_state("account:a3", {"paused": EVIL, "history": [[now, "concurrency", 4, EVIL]]}, now)
    yield door
    await door.close()


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_stays_small_and_quick_and_runs_nothing_that_is_a_name(crowded: Door, path: str) -> None:
    client = crowded.client()
    took, text = [], ""
    for _ in range(3):  # the first reads templates in
        began = time.process_time()  # of the store's threads too, and none of other tests'
        answer = await client.get(path)
        took.append(time.process_time() - began)
        assert answer.status_code == 200, answer.text
        text = answer.text
    assert len(text.encode()) <= LARGEST
    assert min(took) <= SLOWEST_S, f"{min(took):.3f} s"
    assert "<script>alert" not in text
    assert "<img" not in text
    for word in ("onclick", "onerror=alert(1)>", "style=", "javascript:"):
        assert word not in text
    if path in LISTS:
        assert re.search(r"and [3-7]\d\d more", text), "what is not shown is counted"
    live = "/ui/overview/live" if path == "/" else f"/ui{path}".replace("?", "/live?", 1)
    assert (await client.get(live if "live" in live else f"{live}/live")).status_code == 200
