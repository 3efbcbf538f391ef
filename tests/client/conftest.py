"""A served Laneway, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from laneway import Client
from tests.conftest import Desk
from tests.server.conftest import serve as serve
from tests.server.served import CONFIG, Serve, Served, Simulate


@pytest.fixture
def served(desk: Desk, serve: Serve, simulate: Simulate) -> Served:
    simulate(latency=0.01)
    configure(desk)
    return serve()


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url) as client:
        yield client


def configure(desk: Desk, more: str = "") -> None:
    desk.write("laneway.toml", CONFIG + '[lanes.slow]\nconcurrency = 1\n[types.review]\nprompt = "review.j2"\n' + more)
    desk.write("review.j2", "What is {{ doc }}?")


def port_of(served: Served) -> str:
    return str(urlsplit(served.url).port)
