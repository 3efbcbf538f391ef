"""The simulator as a child process, for the demo, tests and benchmarks. Standard library only."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any

START_S = 30.0  # at most, until the ready line
STOP_S = 5.0  # at most, between asking it to stop and making it


class SimulatorProcess:
    """A context: started on a free port, ready on entry, gone on exit. Options as on the command line, with ``_``; a
    list gives an option again and again: ``SimulatorProcess(latency=0.2, rpm=600, key=["a", "b"], no_headers=True)``.

    The child also ends by itself when this process dies. Ctrl-C in the terminal does not reach it, so that its clients
    can finish what they have begun.
    """

    def __init__(self, **options: Any) -> None:
        arguments = ["--port", "0"]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                arguments.append(flag)
            elif value is not None and value is not False:
                for one in value if isinstance(value, list | tuple) else [value]:
                    arguments += [flag, str(one)]
        self._command = [sys.executable, "-m", "laneway.simulator", *arguments, "--exit-with-parent"]
        self._child: subprocess.Popen[bytes] | None = None
        self.url = ""  # with /v1

    def start(self) -> SimulatorProcess:
        """Raises RuntimeError when it does not become ready; its own words are then on standard error."""
        assert self._child is None, "it is running already"
        child = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=sys.platform != "win32"
        )
        self._child = child
        assert child.stdout is not None
        patience = threading.Timer(START_S, child.kill)
        patience.start()
        try:
            line = child.stdout.readline().decode()
        finally:
            patience.cancel()
        if "ready at " not in line:
            self.stop()
            raise RuntimeError("the simulator did not start; see its message above")
        self.url = line.rpartition("ready at ")[2].strip()
        return self

    def __enter__(self) -> SimulatorProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._child is not None, "it is not running"
        return self._child.pid

    def stats(self) -> dict[str, Any]:
        """Its own count of everything: see ``books.py``."""
        return self._ask("stats")

    def reset(self) -> None:
        """Empty its books and fill its buckets."""
        self._ask("reset", {})

    def control(self, **options: Any) -> dict[str, Any]:
        """Change options while it runs; None takes a limit away. Returns all as they stand. Raises ValueError."""
        return self._ask("control", options)

    def stop(self) -> None:
        """End it and wait until it has gone; again does nothing."""
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url.removesuffix("/v1") + "/" + path, data=data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]["message"]) from None
