"""The tail of a run, through the real command: a call that is never answered is told of, and ends."""

from __future__ import annotations

from collections.abc import Callable

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

CONFIG = """
[accounts.main]
provider = "openai"
[models.gpt-4o-mini]
account = "main"
id = "gpt-4o-mini"
timeout = "1s"
"""


def test_a_timeout_is_counted_and_explained(desk: Desk, simulate: Callable[..., SimulatorProcess]) -> None:
    simulate(hang_nth=40)
    desk.write("laneway.toml", CONFIG + '[retry]\ndelays = ["100ms"]\n')
    desk.batch("in.jsonl", 40)
    done = desk.run("run", "in.jsonl", "--concurrency", "1", "--json")  # the last one hangs
    assert done.code == 0, done.err
    assert (done.json["timeouts"], done.json["calls"], done.json["tasks"]["succeeded"]) == (1, 41, 40)
    told = desk.run("explain", "t39").out
    assert "transient/timeout: no answer within 1 s (usual 0.0" in told, told


def test_a_task_fails_at_its_time_limit(desk: Desk, simulate: Callable[..., SimulatorProcess]) -> None:
    simulate(hang_nth=3)
    desk.write("laneway.toml", CONFIG + '[retry]\ntime_limit = "500ms"\n')
    desk.batch("in.jsonl", 3)
    done = desk.run("run", "in.jsonl", "--json")
    assert done.code == 1, done.err
    assert done.json["tasks"]["failed"] == 1
    assert [group["code"] for group in done.json["failures"]] == ["time_limit"]
    (row,) = desk.rows("in.results.jsonl.errors.jsonl")
    assert "not done within its time limit of 0.5 s: 1 call in 0.5 s" in str(row)


def test_a_limit_that_is_none_is_said(desk: Desk) -> None:
    desk.write("laneway.toml", CONFIG + '[retry]\ntime_limit = "0s"\n')
    done = desk.run("config", "check")
    assert done.code == 2
    assert "time_limit" in done.err + done.out
