"""A running ``laneway serve``: the real command, asked by plain HTTP."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

CONFIG = """
[accounts.main]
provider = "openai"
[models.small]
account = "main"
id = "gpt-4o-mini"
[models.strong]
account = "main"
id = "gpt-4o"
[models.vectors]
account = "main"
id = "text-embedding-3-small"
[[rules]]
when = { team_of = "legal" }
model = "strong"
lane = "legal"
[defaults]
model = "small"
"""


class Served:
    """``url``: with /v1."""

    def __init__(self, desk: Desk, *options: str) -> None:
        self.process = desk.start("serve", "--port", "0", "--json", *options)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        self.url: str = json.loads(line)["url"]

    def ask(
        self, path: str, body: Any = None, *, method: str | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.url + path,
            data,
            {"Content-Type": "application/json", "Authorization": "Bearer t", **named},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content, status, found = answer.read(), answer.status, answer.headers
        except urllib.error.HTTPError as error:
            content, status, found = error.read(), error.code, error.headers
            error.close()
        is_json = "json" in found.get("content-type", "")
        return status, json.loads(content) if is_json else content, {name.lower(): found[name] for name in found}

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.communicate(timeout=60)

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


Serve = Callable[..., Served]
CHAT = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
