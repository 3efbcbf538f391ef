from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from laneway.config.load import load
from laneway.config.models import Config

Load = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """Loads a text as laneway.toml, with variables laid over it."""

    def read(text: str, env: Mapping[str, str] | None = None) -> Config:
        (tmp_path / "laneway.toml").write_text(text)
        return load(env=env or {}, cwd=tmp_path)

    return read
