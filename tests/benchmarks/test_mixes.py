from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.ideal import Ideal
from benchmarks.mixes import MIXES, Mix
from laneway.config.load import load


@pytest.fixture(scope="module", params=MIXES)
def mix(request: pytest.FixtureRequest) -> Mix:
    return MIXES[request.param](0)


@pytest.fixture(scope="module")
def best(mix: Mix) -> Ideal:
    return mix.ideal()


def test_a_mix_keeps_an_ideal_dispatcher_busy_for_half_a_minute(mix: Mix, best: Ideal) -> None:
    assert len(mix.requests) >= 1500
    assert 25 <= best.makespan <= 45


def test_its_files_are_what_laneway_reads(mix: Mix, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in mix.write(tmp_path / "tasks.jsonl").read_text().splitlines()]
    assert len({row["custom_id"] for row in rows}) == len(mix.requests)
    (tmp_path / "laneway.toml").write_text(mix.config(dict.fromkeys(mix.servers, "http://127.0.0.1:1/v1")))
    config = load([tmp_path / "laneway.toml"], env={}, cwd=tmp_path)
    assert set(config.accounts) == set(mix.servers)
    assert set(config.models) == {request.model for request in mix.requests}


def test_a_peer_is_told_of_every_task_and_account(mix: Mix, best: Ideal) -> None:
    job = mix.job(dict.fromkeys(mix.servers, "url"), best)
    assert len(job["tasks"]) == len(mix.requests)
    assert all(0 < account["in_flight"] < 200 for account in job["accounts"].values())
