"""The simulator as a child process, for the demo, tests and benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from types import TracebackType
from typing import Any


class SimulatorProcess:
    """A context: started on a free port, ready on entry, gone on exit. Options as on the command line, with ``_``:
    ``SimulatorProcess(latency=0.2, rpm=600, no_headers=True)``."""

    def __init__(self, **options: Any) -> None:
        arguments = ["--port", "0"]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                arguments.append(flag)
            elif value is not None and value is not False:
                for one in value if isinstance(value, list) else [value]:
                    arguments += [flag, str(one)]
        self._command = [sys.executable, "-m", "laneway.simulator", *arguments, "--exit-with-parent"]
        self._child: subprocess.Popen[bytes] | None = None
        self.url = ""  # with /v1

    def __enter__(self) -> SimulatorProcess:
        self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._child.stdout is not None
        line = self._child.stdout.readline().decode()
        if "ready at " not in line:
            self.stop()
            raise RuntimeError("the simulator did not start; see its message above")
        self.url = line.rpartition("ready at ")[2].strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def stats(self) -> dict[str, Any]:
        """Its own count of everything."""
        return self._ask("stats")

    def reset(self) -> None:
        self._ask("reset", {})

    def control(self, **options: Any) -> None:
        """Change options while it runs."""
        self._ask("control", options)

    def stop(self) -> None:
        if self._child is None:
            return
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child.terminate()
        self._child.wait()
        self._child = None

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        url = self.url.removesuffix("/v1") + "/" + path
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, data=data), timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
