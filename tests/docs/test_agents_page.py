"""The page about agents does what it says."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import Desk
from tests.docs.recipe import Kitchen, blocks
from tests.docs.test_recipes import Simulate

PAGE = "../agents.md"


@pytest.fixture
def kitchen(desk: Desk, simulate: Simulate) -> Iterator[Kitchen]:
    simulate(latency=0.01)
    made = Kitchen(desk.folder, desk.env)
    (config,) = (block.text for block in blocks("README.md") if block.language == "toml")
    (desk.folder / "laneway.toml").write_text(config)
    yield made
    made.clear_up()


def test_the_page_runs(kitchen: Kitchen) -> None:
    kitchen.follow(blocks(PAGE))


def test_its_code_is_python() -> None:
    for block in blocks(PAGE):
        if block.language == "python":
            compile(block.text, PAGE, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
