"""``laneway serve`` for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Desk
from tests.server.served import CONFIG, Serve, Served


@pytest.fixture
def serve(desk: Desk) -> Iterator[Serve]:
    started: list[Served] = []

    def start(*options: str) -> Served:
        if not (desk.folder / "laneway.toml").exists():
            desk.write("laneway.toml", CONFIG)
        started.append(Served(desk, *options))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
            served.process.communicate()
