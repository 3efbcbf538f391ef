from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.mixes import MIXES
from laneway.config.load import load


@pytest.mark.parametrize("name", MIXES)
class TestMixes:
    def test_a_mix_keeps_an_ideal_dispatcher_busy_for_half_a_minute(self, name: str) -> None:
        mix = MIXES[name]()
        assert len(mix.requests) >= 1500
        assert 25 <= mix.ideal().makespan <= 45

    def test_its_files_are_what_laneway_reads(self, name: str, tmp_path: Path) -> None:
        mix = MIXES[name]()
        rows = [json.loads(line) for line in mix.write(tmp_path / "tasks.jsonl").read_text().splitlines()]
        assert len({row["custom_id"] for row in rows}) == len(mix.requests)
        (tmp_path / "laneway.toml").write_text(mix.config(dict.fromkeys(mix.servers, "http://127.0.0.1:1/v1")))
        config = load([tmp_path / "laneway.toml"], env={}, cwd=tmp_path)
        assert set(config.accounts) == set(mix.servers)
        assert set(config.models) == {request.model for request in mix.requests}

    def test_a_peer_is_told_of_every_task_and_account(self, name: str) -> None:
        mix = MIXES[name]()
        job = mix.job(dict.fromkeys(mix.servers, "url"), mix.ideal())
        assert len(job["tasks"]) == len(mix.requests)
        assert all(0 < account["in_flight"] < 200 for account in job["accounts"].values())
