"""``laneway serve`` for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Desk
from tests.server.door import Door
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


@pytest.fixture
async def open_door(tmp_path: Path) -> AsyncIterator[Callable[..., Door]]:
    opened: list[Door] = []

    def open_(*args: Any, **options: Any) -> Door:
        opened.append(Door(tmp_path, *args, **options))
        return opened[-1]

    yield open_
    for door in opened:
        await door.close()


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    return open_door()
