from __future__ import annotations

import json
import time
from typing import Any

import pytest

from benchmarks.peers.queues import harness


class Instant(harness.Peer):
    about = "does everything at once"

    def connect(self) -> None:
        self.given = self.done = 0

    def work(self) -> None:
        self.done = self.given

    def submit(self, n: int) -> object:
        self.given += 1
        self.done += self.done > 0
        return n

    def stored(self) -> int:
        return self.done

    def began(self) -> float:
        return time.monotonic()


class Serverless(Instant):
    def connect(self) -> None:
        raise harness.CannotRun("no server")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


def said(capsys: pytest.CaptureFixture[str], make: type[harness.Peer]) -> dict[str, Any]:
    harness.main(make)
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_a_peer_is_measured_over_as_many_tasks_as_take_it_some_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, Instant)
    assert told["tasks"] == harness.MOST  # it would do more
    assert told["tasks_per_s"] > 10_000
    assert 0 <= told["latency_p50_ms"] <= told["latency_p95_ms"] < 1000


def test_a_peer_that_lacks_its_server_is_skipped_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, Serverless) == {"about": "does everything at once", "skipped": "no server"}
