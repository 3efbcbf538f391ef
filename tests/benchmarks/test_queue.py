from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import floor, memory, peers, queue
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


def test_a_peer_is_its_middle_run_and_skipped_only_when_it_never_ran() -> None:
    runs: list[dict[str, Any]] = [{"tasks_per_s": 3}, {"skipped": "no server"}, {"tasks_per_s": 1}, {"tasks_per_s": 2}]
    assert queue._of_peer(runs) == {"tasks_per_s": 2, "tasks_per_s_all": [1, 2, 3]}
    assert queue._of_peer(runs[1:2]) == {"skipped": "no server"}


def test_a_peer_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "python", lambda: Path(sys.executable))  # which has none of them
    assert "No module named" in peers.queue("celery", 60)["skipped"]


def test_memory_is_measured_over_tasks_that_were_all_queued_first() -> None:
    told = memory.run(1, tasks=200)
    assert told["peak_mb"] > 10
    assert told["size_mb"] > 0
    assert told["status_s"] >= max(told["status_queued_s"], told["status_drained_s"])
