"""The benchmark of the service measures a real one."""

from __future__ import annotations

from benchmarks.service import run


def test_it_measures_what_the_service_adds() -> None:
    said = run(1, rate=20.0, seconds=0.5)
    assert 0 < said["added_p50_ms"] < 5_000
    assert said["requests_per_s"] > 0
    assert said["cpu_ms_per_call"] > 0
