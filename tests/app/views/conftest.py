"""A project with some tasks, at a time that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from laneway.app.laneway import Laneway
from laneway.clock import ManualClock
from tests.store.helpers import LEASE, NOW

CONFIG = """
[accounts.main]
base_url = "http://127.0.0.1:9/v1"
api_key_env = "NO_KEY"
requests_per_minute = 100
concurrency = 8

[models.small]
id = "small-1"
account = "main"
input_price = 1.0
output_price = 2.0

[models.strong]
id = "strong-1"
account = "main"
input_price = 10.0
output_price = 20.0

[lanes.general]
concurrency = 5

[lanes.special]
weight = 2.0

[defaults]
model = "small"
"""


@pytest.fixture
async def lw(tmp_path: Path) -> AsyncIterator[Laneway]:
    path = tmp_path / "laneway.toml"
    path.write_text(CONFIG)
    async with Laneway(path, store=f"sqlite:///{tmp_path}/store.db", clock=ManualClock(NOW)) as app:
        await app.store.join("w", LEASE, NOW)
        yield app
