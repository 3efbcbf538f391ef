"""One real ``laneway serve``, one simulator and one Chromium for each module: they are what such tests cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk
from tests.dashboard.browsing import Look, browser, chromium
from tests.server.served import CONFIG, Served
from tests.simulators import SimulatorThread


@dataclass
class Site:
    """``served`` is what ``desk`` runs; ``simulator`` is the provider."""

    desk: Desk
    served: Served
    simulator: SimulatorProcess

    @property
    def url(self) -> str:
        return self.served.url.removesuffix("/v1")


@pytest.fixture(scope="module")
def config() -> str:
    """Of this module's server; a module may have another."""
    return CONFIG


@pytest.fixture(scope="module")
def token() -> str:
    """Of this module's server; "": anybody may come in."""
    return ""


@pytest.fixture(scope="module")
def site(config: str, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LANEWAY_", "OPENAI_", "ANTHROPIC_"))
    }
    simulator = SimulatorThread(latency=0.02, output_tokens=10).start()
    env = {
        **kept,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": simulator.url,
        "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state")),
    }
    if token:
        env["LANEWAY_TOKEN"] = token
    desk = Desk(tmp_path_factory.mktemp("desk"), env)
    desk.write("laneway.toml", config)
    served = Served(desk)
    yield Site(desk, served, simulator)
    code, said = served.stop()
    simulator.stop()
    assert (code, said) == (0, ""), "the server ends at once and in order, though browsers listened"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("no Chromium here: install the distribution's (`apt-get install chromium`)")
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def look(site: Site, chrome: Browser) -> Look:
    return Look(chrome, site.url)
