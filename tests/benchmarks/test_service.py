"""The benchmark of the service measures a real one."""

from __future__ import annotations

from benchmarks.service import run

TASKS = 400  # in each store, and one flow
SENT_ON, NOT_THEIRS = 303, 403


def test_it_measures_what_the_service_adds_and_what_its_pages_take() -> None:
    said = run(1, rate=20.0, seconds=0.5, tasks=TASKS)
    assert 0 < said["added_p50_ms"] < 5_000
    assert said["requests_per_s"] > 0
    assert said["cpu_ms_per_call"] > 0
    assert set(said["dashboard"]) == {"sqlite", "postgres"}
    for pages in said["dashboard"].values():
        assert pages["tasks"] == TASKS + 1
        assert pages["failed"] == TASKS // 5
        assert pages["fetched"] > 70
        assert set(pages["refused"].values()) <= {SENT_ON, NOT_THEIRS}
        assert said["dashboard_worst_ms"] >= pages["worst_ms"] > 0
