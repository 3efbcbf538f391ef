"""The page about the Python client does what it says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Desk
from tests.docs.recipe import Kitchen, blocks
from tests.docs.test_recipes import Simulate


@pytest.fixture
def kitchen(desk: Desk, simulate: Simulate) -> Iterator[Kitchen]:
    simulate(latency=0.01)
    made = Kitchen(desk.folder, desk.env)
    yield made
    made.clear_up()


def test_the_page_runs(kitchen: Kitchen) -> None:
    kitchen.follow(blocks("../client.md"))
