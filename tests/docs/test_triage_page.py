"""docs/triage.md does what it says, against the simulator."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable

from laneway.config.models import TriageConfig
from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk
from tests.docs.recipe import Kitchen, blocks

Simulate = Callable[..., SimulatorProcess]
PAGE = "../triage.md"


def test_the_page_runs(desk: Desk, simulate: Simulate) -> None:
    models = desk.write("models.json", json.dumps({"small": {}, "strong": {}}))
    simulate(models=models, latency=0.001, output_tokens=12)
    page = blocks(PAGE)
    assert sum(block.mark == "output" for block in page) == 2
    Kitchen(desk.folder, desk.env).follow(page)
    assert (desk.folder / "triage" / "category.npz").exists()
    assert (desk.folder / "triage" / "model.npz").exists()


def test_its_settings_are_ours() -> None:
    for block in blocks(PAGE):
        if block.language == "toml" and "triage" in (said := tomllib.loads(block.text)):
            TriageConfig.model_validate(said["triage"])
