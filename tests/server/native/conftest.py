"""The native API in this process: the real application on a real store, asked without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from laneway import Laneway
from laneway.server.app import Manners, application
from laneway.task import Urgency
from tests.server.native.asking import CONFIG, Asker


@pytest.fixture
async def lw(tmp_path: Path) -> AsyncIterator[Laneway]:
    (tmp_path / "laneway.toml").write_text(CONFIG)
    (tmp_path / "prompt.j2").write_text("What is {{ doc }}?")
    lw = Laneway(tmp_path / "laneway.toml", env={"OPENAI_API_KEY": "sk-test"})
    yield lw
    await lw.close()


@pytest.fixture
def ending() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def api(lw: Laneway, ending: asyncio.Event) -> Asker:
    return Asker(application(lw, Manners(Urgency.STANDARD, 5.0, 1_000_000, works=False), ending=ending))
