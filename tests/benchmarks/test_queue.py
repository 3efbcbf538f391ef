from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import floor, queue
from laneway.store.sqlite.store import SQLiteStore
from laneway.task import State


async def test_the_floor_leaves_a_store_whose_books_agree(tmp_path: Path) -> None:
    tasks = floor.BATCH + 7
    assert floor.main(tmp_path / "floor.db", tasks)["tasks"] == tasks
    store = SQLiteStore(tmp_path / "floor.db")
    assert await store.check() == []
    (tally,) = await store.tally()
    assert tally.counts[State.SUCCEEDED] == tasks
    await store.close()


@pytest.mark.parametrize("program", ["through", "mapped"])
def test_its_tasks_run_and_are_stored(program: str) -> None:
    said = queue._run(queue.APP, 40, program)
    assert said["seconds"] > 0
    assert said.get("tasks", 40) == 40


def test_latency_is_of_every_probe() -> None:
    told = queue._latencies("latency", {"start_ms": [3.0, 1.0, 2.0], "result_ms": [5.0, 4.0, 6.0]})
    assert told == {"latency_p50_ms": 2.0, "latency_p95_ms": 3.0, "latency_result_p50_ms": 5.0}
