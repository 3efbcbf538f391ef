"""A desk in an environment without any provider: no keys, and nothing where local model servers listen."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from laneway.providers.presets import presets
from tests.conftest import Desk


@pytest.fixture
def bare(desk: Desk) -> Iterator[Desk]:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and kept: nobody else gets this port, and it is never listened at
        nobody = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        for preset in presets().values():
            for variable in filter(None, (preset.key_env, preset.base_url_env)):
                desk.env.pop(variable, None)
            if preset.base_url_env and not preset.needs_key:
                desk.env[preset.base_url_env] = nobody
        yield desk
