"""A new server takes over from the old one on the same socket, as systemd passes it, while clients ask on."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest

from tests.conftest import Desk
from tests.server.served import CHAT, CONFIG, Simulate

LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "laneway", *sys.argv[2:]])
"""
CLIENTS = 12
Server = subprocess.Popen[str]


@pytest.fixture
def shared() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener


def begin(desk: Desk, listener: socket.socket, *options: str) -> Server:
    """As systemd would. Returns when it is ready."""
    descriptor = os.dup(listener.fileno())
    server = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(descriptor), "serve", "--json", *options],
        cwd=desk.folder, env=desk.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[descriptor],
    )  # fmt: skip
    os.close(descriptor)
    assert server.stdout is not None
    line = server.stdout.readline()
    assert line, server.communicate()[1]
    assert json.loads(line)["url"] == f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    return server


async def test_nothing_is_refused_or_lost_while_one_server_follows_another(
    desk: Desk, simulate: Simulate, shared: socket.socket
) -> None:
    simulator = simulate(latency=0.05, concurrency=1000)
    desk.write("laneway.toml", CONFIG)
    url = f"http://127.0.0.1:{shared.getsockname()[1]}/v1/chat/completions"
    old = await asyncio.to_thread(begin, desk, shared)
    over = asyncio.Event()
    answers: asyncio.Queue[int] = asyncio.Queue()
    statuses: Counter[int] = Counter()

    async def more(n: int) -> None:
        async with asyncio.timeout(60):
            statuses.update([await answers.get() for _ in range(n)])

    async def ask_on(session: aiohttp.ClientSession) -> None:
        """Each on a connection that is kept open; nothing is tried twice."""
        while not over.is_set():
            async with session.post(url, json=CHAT) as answer:
                assert (await answer.json())["choices"]
                answers.put_nowait(answer.status)

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
        asking = [asyncio.create_task(ask_on(session)) for _ in range(CLIENTS)]
        await more(CLIENTS)
        new = await asyncio.to_thread(begin, desk, shared)
        old.send_signal(signal.SIGTERM)
        _, err = await asyncio.to_thread(old.communicate, timeout=60)
        assert (old.returncode, err) == (0, "")
        await more(answers.qsize() + 3 * CLIENTS)
        over.set()
        await asyncio.gather(*asking)
        await more(answers.qsize())
    assert set(statuses) == {200}
    new.send_signal(signal.SIGTERM)
    assert (await asyncio.to_thread(new.communicate, timeout=60))[1] == ""
    assert simulator.stats()["completed"] == statuses.total(), "each was paid once"


def test_a_kept_connection_is_taken_leave_of_and_not_cut(desk: Desk, simulate: Simulate, shared: socket.socket) -> None:
    simulate()
    desk.write("laneway.toml", CONFIG)
    server = begin(desk, shared)
    host, port = shared.getsockname()[:2]
    kept, probe = (http.client.HTTPConnection(host, port, timeout=60) for _ in range(2))

    def ask() -> http.client.HTTPResponse:
        kept.request("POST", "/v1/chat/completions", json.dumps(CHAT), {"Content-Type": "application/json"})
        answer = kept.getresponse()
        answer.read()
        return answer

    def is_ready() -> bool:
        probe.request("GET", "/readyz")
        answer = probe.getresponse()
        answer.read()
        return answer.status == 200

    assert (ask().getheader("connection"), is_ready()) == (None, True)
    server.send_signal(signal.SIGTERM)
    while is_ready():
        """The signal is on its way."""
    last = ask()
    assert (last.status, last.getheader("connection")) == (200, "close")
    kept.close()
    probe.close()
    server.communicate(timeout=60)
    assert server.returncode == 0


def test_connections_wait_while_no_server_is_there(desk: Desk, simulate: Simulate, shared: socket.socket) -> None:
    """A restart by systemd: the old one ends before the new one begins."""
    simulate()
    desk.write("laneway.toml", CONFIG)
    with socket.create_connection(shared.getsockname()[:2]) as client:
        client.settimeout(60)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        server = begin(desk, shared, "--no-worker")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
    assert server.returncode == 0


def test_what_is_passed_must_be_a_listening_socket(desk: Desk) -> None:
    desk.write("laneway.toml", CONFIG)
    with socket.socket() as idle:
        descriptor = os.dup(idle.fileno())
        command = [sys.executable, "-c", LAUNCH, str(descriptor), "serve"]
        done = subprocess.run(
            command, cwd=desk.folder, env=desk.env, capture_output=True, text=True, timeout=60, check=False,
            pass_fds=[descriptor],
        )  # fmt: skip
        os.close(descriptor)
    assert (done.returncode, "listening TCP socket" in done.stderr) == (2, True)
