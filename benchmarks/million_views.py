"""How long the store and the app take for what pages and lists show, on the store that ``million`` fills."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.million import LANES, MODELS, TEAMS, TYPES, fill
from laneway.app import views
from laneway.app.explaining import Explanation, explanation
from laneway.app.laneway import Laneway
from laneway.app.settings import open_store
from laneway.store.interface import Store
from laneway.store.steering import Selector
from laneway.store.tallies import HOUR_S, MINUTE_S, Tally, TallyKind
from laneway.task import State, Urgency

TIMES = 5  # the middle one counts
FAILED = (State.FAILED,)


async def add_history(store: Store, now: float, rng: random.Random, hours: int = 26) -> None:
    """What workers would have counted in the last day."""
    for back in range(hours * 60):
        await store.add_tallies(list(_minute(int(now) - 60 * back, rng, full=back < 120)), now)


def _minute(at: int, rng: random.Random, *, full: bool) -> Iterator[Tally]:
    names: dict[TallyKind, list[str]] = {
        TallyKind.ALL: [""],
        TallyKind.LANE: [f"lane-{n}" for n in range(LANES)],
        TallyKind.TYPE: [f"type_{n}" for n in range(TYPES)],
        TallyKind.MODEL: list(MODELS),
        TallyKind.ACCOUNT: ["main"],
    }
    for team in set(TEAMS):
        for kind, own in names.items():
            for name in own:
                times = {rng.randint(30, 50): rng.randint(1, 9) for _ in range(15)} if full else {}
                n = rng.randint(1, 30)
                yield Tally(
                    at, team, kind, name, n, n // 5, 0, n * 2, n // 9, 1, n * 100, n * 50, n / 1e4, times, times
                )


def verbs(store: Store, now: float, some_key: str, run_id: int) -> dict[str, Callable[[], Awaitable[Any]]]:
    def listed(cursor: int | None = None, **filter: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: store.list_tasks(Selector(**filter), cursor, 50)

    def counted(**filter: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: store.count_tasks(Selector(**filter))

    def tallied(kind: TallyKind, seconds: float, span: int, **more: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: store.tallies(kind, now - seconds, now + 1, span=span, **more)

    return {
        "failure_groups": store.failure_groups,
        "failure_groups run": lambda: store.failure_groups(run_id=run_id),
        "failure_groups team": lambda: store.failure_groups(team="legal"),
        "list_tasks": listed(),
        "list_tasks in the middle": listed(500_000),
        "list_tasks failed": listed(states=FAILED),
        "list_tasks failed, far": listed(100_000, states=FAILED),
        "list_tasks failed class": listed(states=FAILED, classes=("output",), lanes=("lane-3",)),
        "list_tasks failed run": listed(states=FAILED, run_id=run_id),
        "list_tasks failed tag": listed(states=FAILED, tags=("spring",)),
        "list_tasks ready": listed(states=(State.READY,)),
        "list_tasks running": listed(states=(State.RUNNING,)),
        "list_tasks cancelled": listed(states=(State.CANCELLED,)),
        "list_tasks run": listed(run_id=run_id),
        "list_tasks type": listed(types=("type_3",)),
        "list_tasks no such type": listed(types=("nothing",)),
        "list_tasks tag": listed(tags=("spring",)),
        "list_tasks no such tag": listed(tags=("nothing",)),
        "list_tasks key": listed(keys=(some_key,)),
        "list_tasks no such key*": listed(keys=("nothing*",)),
        "list_tasks model, urgency": listed(models=("strong",), urgencies=(Urgency.URGENT,)),
        "list_tasks team": listed(team="legal"),
        "count_tasks": counted(),
        "count_tasks lane ready": counted(lanes=("lane-3",), states=(State.READY,)),
        "count_tasks failed class": counted(states=FAILED, classes=("transient",)),
        "select failed class": lambda: store.select(Selector(states=FAILED, classes=("output",))),
        "extent failed class": lambda: store.extent(Selector(states=FAILED, classes=("output",))),
        "list_runs": lambda: store.list_runs(None, 50),
        "list_runs team": lambda: store.list_runs(None, 50, team="legal"),
        "depths": store.depths,
        "oldest_ready": store.oldest_ready,
        "oldest_ready team": lambda: store.oldest_ready(team="legal"),
        "tallies all, a day by hours": tallied(TallyKind.ALL, 86_400, HOUR_S),
        "tallies lane, an hour by minutes": tallied(TallyKind.LANE, 3600, MINUTE_S, times=False),
        "tallies type, an hour": tallied(TallyKind.TYPE, 3600, MINUTE_S, whole=True),
        "tallies type, a day": tallied(TallyKind.TYPE, 86_400, HOUR_S, whole=True),
    }


def shown(lw: Laneway, some_key: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    return {
        "overview": lambda: views.overview(lw),
        "overview team": lambda: views.overview(lw, "legal"),
        "lanes": lambda: views.lanes(lw),
        "lanes team": lambda: views.lanes(lw, "legal"),
        "accounts": lambda: views.accounts(lw),
        "workers": lambda: views.workers(lw),
        "models": lambda: views.models(lw),
        "types": lambda: views.types(lw),
        "types team": lambda: views.types(lw, "legal"),
        "failures": lambda: views.failures(lw),
        "runs": lambda: views.runs(lw),
        "triage": lambda: views.triage(lw),
        "task": lambda: _task(lw, some_key),
    }


async def _task(lw: Laneway, key: str) -> Explanation:
    return await explanation(lw, await lw.store.find_task(key))


async def measure(url: str) -> dict[str, float]:
    """Milliseconds, the middle of several, of each verb and each view."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "laneway.toml").write_text("")
        async with Laneway(Path(folder) / "laneway.toml", store=url) as lw:
            store, now = lw.store, lw.clock.now()
            (first,) = (await store.list_tasks(Selector(), 500_000, 1)).tasks
            wanted = {**verbs(store, now, first.key or "", first.run_id), **shown(lw, first.key or "")}
            return {name: await _ms(what) for name, what in wanted.items()}


async def _ms(what: Callable[[], Awaitable[Any]]) -> float:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await what()
        took.append(time.perf_counter() - began)
    return round(sorted(took)[TIMES // 2] * 1000, 1)


def prepare(url: str) -> None:
    """The tasks, and the history that workers would have left."""
    fill(url)
    asyncio.run(_prepare(url))


async def _prepare(url: str) -> None:
    store = open_store(url)
    try:
        await add_history(store, time.time(), random.Random(0))
    finally:
        await store.close()


if __name__ == "__main__":  # python -m benchmarks.million_views URL [fill]
    if "fill" in sys.argv[2:]:
        prepare(sys.argv[1])
    for name, ms in asyncio.run(measure(sys.argv[1])).items():
        sys.stdout.write(f"{ms:8.1f}  {name}\n")
