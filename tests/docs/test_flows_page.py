"""The page about flows does what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import laneway.flows.api as api
from tests.conftest import Desk
from tests.docs.recipe import RECIPES, Kitchen, blocks
from tests.docs.test_recipes import Simulate

PAGE = "../flows.md"
CONFIG = """
[accounts.main]
provider = "openai"
[models.small]
account = "main"
id = "gpt-4o-mini"
[models.strong]
account = "main"
id = "gpt-4o"
"""


@pytest.fixture
def kitchen(desk: Desk, simulate: Simulate) -> Iterator[Kitchen]:
    simulate(latency=0.01)
    made = Kitchen(desk.folder, desk.env)
    (desk.folder / "laneway.toml").write_text(CONFIG)
    yield made
    made.clear_up()


def test_the_page_runs(kitchen: Kitchen) -> None:
    kitchen.follow(blocks(PAGE))


def test_what_it_names_is_there() -> None:
    text = (RECIPES / PAGE).read_text("utf-8")
    named = set(re.findall(r"`(?:await )?flow\.(\w+)\(", text))
    assert named
    assert all(callable(getattr(api, name)) for name in named)
