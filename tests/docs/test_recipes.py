"""Every recipe does what it says, against the simulator."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk
from tests.docs.recipe import PATIENCE_S, RECIPES, Kitchen, blocks

Simulate = Callable[..., SimulatorProcess]
PAGES = sorted(path.name for path in RECIPES.glob("*.md") if path.name != "README.md")

EXECUTE = """
import sys, nbclient, nbformat
page, patience = sys.argv[1:]
notebook, here = nbformat.read(page, as_version=4), {"metadata": {"path": "."}}
nbclient.NotebookClient(notebook, timeout=int(patience), kernel_name="python3", resources=here).execute()
nbformat.write(notebook, "done.ipynb")
"""


@pytest.fixture
def kitchen(desk: Desk, simulate: Simulate) -> Iterator[Kitchen]:
    simulate(latency=0.01)
    made = Kitchen(desk.folder, desk.env)
    (config,) = (block.text for block in blocks("README.md") if block.language == "toml")
    (desk.folder / "laneway.toml").write_text(config)
    yield made
    made.clear_up()


@pytest.mark.parametrize("page", PAGES)
def test_a_recipe_runs(page: str, kitchen: Kitchen) -> None:
    recipe = blocks(page)
    if not any(block.mark.startswith("file=tasks.py") for block in recipe):
        config = kitchen.folder / "laneway.toml"
        config.write_text(config.read_text().replace('app = "tasks:lw"\n', ""))
    assert any(block.mark == "output" for block in recipe)
    kitchen.follow(recipe)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_before_is_python_too(page: str) -> None:
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text)


def test_the_notebook_runs_and_shows_what_it_says(kitchen: Kitchen) -> None:
    config = kitchen.folder / "laneway.toml"
    config.write_text(config.read_text().replace('app = "tasks:lw"\n', ""))
    page = RECIPES / "notebook.ipynb"
    done = kitchen.run([sys.executable, "-c", EXECUTE, str(page), str(PATIENCE_S)])
    assert done.returncode == 0, done.stderr[-3000:]
    ran = json.loads((kitchen.folder / "done.ipynb").read_text())
    told = json.loads(page.read_text())
    assert [_shown(cell) for cell in ran["cells"]] == [_shown(cell) for cell in told["cells"]]


def _shown(cell: dict[str, list[dict[str, dict[str, list[str]]]]]) -> list[str]:
    return ["".join(output["data"]["text/plain"]) for output in cell.get("outputs", ()) if "data" in output]


def test_every_recipe_is_on_the_list() -> None:
    listed = (RECIPES / "README.md").read_text()
    for path in RECIPES.iterdir():
        assert path.name == "README.md" or f"({path.name})" in listed
