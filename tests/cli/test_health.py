"""What watches over a worker hears: the health endpoint, and systemd by sd_notify."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from laneway.errors import UsageError
from laneway.server.health import Health, address, together
from tests.cli.working import PATIENCE_S, ask, at_work, end, until
from tests.conftest import Desk

BOTH = pytest.mark.parametrize("processes", ["1", "2"])
WELL = Health(draining=False, lease_s=8.0, heartbeat_age_s=2.0, tick_age_s=0.5, in_flight=3)


@BOTH
def test_it_says_how_it_is_and_tells_no_content(desk: Desk, processes: str) -> None:
    with at_work(desk, "--health", "0", "--processes", processes) as (worker, ready):
        url = ready["health"]
        assert url.startswith("http://127.0.0.1:")
        desk.run("submit", "slow", "gate=a")
        until(lambda: ask(f"{url}/readyz")[1]["in_flight"] == 1, "the task is in flight")
        status, said = ask(f"{url}/healthz")
        assert status == 200
        assert said.keys() == {"status", "draining", "lease_s", "heartbeat_age_s", "tick_age_s", "in_flight"}
        assert (said["status"], said["draining"]) == ("ok", False)
        assert 0 < said["lease_s"] <= 10
        worker.terminate()
        until(lambda: ask(f"{url}/readyz")[0] == 503, "it takes nothing more")
        assert ask(f"{url}/healthz")[0] == 200, "no reason to kill it"
        desk.write("a", "")
        assert end(worker)[0] == 0


def test_several_are_well_when_all_are(desk: Desk) -> None:
    with at_work(desk, "--health", "0", "--processes", "2") as (worker, ready):
        url = ready["health"]
        children = [one["pid"] for one in desk.run("status", "--json").json["workers"]]
        os.kill(children[0], signal.SIGKILL)
        until(lambda: ask(f"{url}/readyz") == (503, {"status": "starting"}), "one is being replaced")
        until(lambda: ask(f"{url}/readyz")[0] == 200, "both are at work again")
        worker.terminate()
        assert end(worker)[0] == 0


def test_a_store_that_is_away_is_no_reason_to_kill_a_worker() -> None:
    away = replace(WELL, lease_s=-20.0, heartbeat_age_s=30.0)
    stuck = replace(WELL, tick_age_s=31.0)
    assert (WELL.lives, WELL.works) == (True, True)
    assert (away.lives, away.works, away.as_json()["status"]) == (True, False, "no store")
    assert (stuck.lives, stuck.works, stuck.as_json()["status"]) == (False, False, "stuck")
    assert together([WELL, away]) == replace(away, in_flight=6)
    assert together([]) is None


@pytest.mark.parametrize(
    ("option", "place"),
    [("8081", ("127.0.0.1", 8081)), ("0.0.0.0:1", ("0.0.0.0", 1)), ("[::1]:8081", ("::1", 8081))],
)
def test_addresses(option: str, place: tuple[str, int]) -> None:
    assert address(option) == place


@pytest.mark.parametrize("option", ["", "x", ":8081", "host:", "65536"])
def test_what_is_no_address(option: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        address(option)


def test_an_address_that_is_taken(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = desk.run("worker", "--health", str(taken.getsockname()[1]), "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "usage")


@contextmanager
def systemd(desk: Desk, address: str, watchdog_s: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + address[1:] if address.startswith("@") else address)
        heard.settimeout(PATIENCE_S)
        desk.env |= {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": f"{watchdog_s * 1e6:.0f}"}
        yield heard


def hear(heard: socket.socket, word: str) -> list[str]:
    """The lines of the next datagram that begins so; only the watchdog is fed before."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        lines = heard.recv(4096).decode().splitlines()
        if lines[0] == word:
            return lines
        assert lines == ["WATCHDOG=1"]
    raise AssertionError(f"{word} was not said")


@BOTH
@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_when_it_is_ready_that_it_lives_and_that_it_stops(
    desk: Desk, tmp_path: Path, processes: str, abstract: bool
) -> None:
    place = f"@laneway-test-{tmp_path.name}-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with systemd(desk, place, 0.2) as heard, at_work(desk, "--processes", processes) as (worker, _):
        assert hear(heard, "READY=1") == ["READY=1", "STATUS=at work"]
        hear(heard, "WATCHDOG=1")
        hear(heard, "WATCHDOG=1")
        worker.terminate()
        assert hear(heard, "STOPPING=1") == ["STOPPING=1", "STATUS=draining", "EXTEND_TIMEOUT_USEC=45000000"]
        assert end(worker)[0] == 0
