"""The simulator as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from laneway.simulator.__main__ import main
from laneway.simulator.process import SimulatorProcess

COMMAND = [sys.executable, "-m", "laneway.simulator", "--port", "0"]


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(latency=0, key=["sk-a", "sk-b"], no_headers=True, rpm=None) as made:
        yield made


def ask(simulator: SimulatorProcess, key: str) -> int:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()
    request = urllib.request.Request(simulator.url + "/chat/completions", body, {"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_process_to_practise_against(simulator: SimulatorProcess) -> None:
    assert simulator.url.startswith("http://127.0.0.1:")
    assert simulator.url.endswith("/v1")
    assert [ask(simulator, key) for key in ("sk-a", "sk-b", "sk-c")] == [200, 200, 401]
    stats = simulator.stats()
    assert (stats["requests"], stats["completed"], stats["unauthorized"]) == (3, 2, 1)
    simulator.reset()
    assert simulator.stats()["requests"] == 0
    assert simulator.control(rpm=6)["rpm"] == 6
    assert [ask(simulator, "sk-a") for _ in range(2)] == [200, 429]
    with pytest.raises(ValueError, match="did you mean 'latency'"):
        simulator.control(latncy=1)


def test_it_is_gone_after_its_context() -> None:
    with SimulatorProcess() as simulator:
        pid = simulator.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    simulator.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly_while_calls_are_in_flight(number: signal.Signals) -> None:
    command = [*COMMAND, "--latency", "60", "--exit-with-parent"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline().rpartition(":")[2].removesuffix("/v1\n"))
        with socket.create_connection(("127.0.0.1", port)) as call:
            body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
            call.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            url = f"http://127.0.0.1:{port}/stats"
            while json.load(urllib.request.urlopen(url))["in_flight"] == 0:
                pass
            child.send_signal(number)
            assert child.wait(30) == 0
        assert child.stdout.read() == ""
        assert child.stderr is not None
        assert child.stderr.read() == ""


def test_it_ends_when_its_parent_is_killed() -> None:
    program = (
        "import sys; from laneway.simulator.process import SimulatorProcess; s = SimulatorProcess().start();"
        "print(s.pid, s.url, flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().split()[1]
        port = int(url.rpartition(":")[2].removesuffix("/v1"))
        with socket.create_connection(("127.0.0.1", port), timeout=5) as witness:
            parent.kill()
            parent.wait()
            assert witness.recv(1) == b"", "the simulator has hung up"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--latncy", "1"], "unrecognized arguments: --latncy"),
        (["--rpm", "0"], "rpm takes a number above 0"),
        (["--error-rate", "2"], "error_rate is a share"),
        (["--host", "0.0.0.0"], "invalid choice"),
        (["--models", "nowhere.toml"], "nowhere.toml: No such file"),
        (["--port", "99999"], "--port takes 0 to 65535"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert main([*arguments, "--json"]) == 2
    assert words in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_port_in_use(simulator: SimulatorProcess, capsys: pytest.CaptureFixture[str]) -> None:
    port = simulator.url.rpartition(":")[2].removesuffix("/v1")
    assert main(["--port", port]) == 2
    assert f"port {port}" in capsys.readouterr().err


def test_the_ready_line_is_the_only_one(tmp_path: Path) -> None:
    models = tmp_path / "models.toml"
    models.write_text("[small]\nquality = 0.5\n")
    pipe = subprocess.PIPE
    for extra in ([], ["--json"]):
        command = [*COMMAND, "--models", str(models), "--exit-with-parent", *extra]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
            assert child.stdout is not None
            line = child.stdout.readline()
            url = json.loads(line)["url"] if extra else line.split()[-1]
            with urllib.request.urlopen(url + "/models") as response:
                assert json.load(response)["data"][0]["id"] == "small"
            out, _ = child.communicate()
            assert out == ""
