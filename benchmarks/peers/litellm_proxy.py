"""LiteLLM's proxy in front of a provider, as its documents recommend it for production: one worker, no verbose logs, a
master key, no database. Started here, in its own environment."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import peers

READY_S = 90.0
KEY = "sk-benchmark"
CONFIG = """
model_list:
  - model_name: small
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: {url}
      api_key: {key}
general_settings:
  master_key: {key}
litellm_settings:
  request_timeout: 600
  set_verbose: false
"""


class Proxy(NamedTuple):
    url: str
    pid: int


@contextmanager
def litellm_proxy(folder: Path, url: str) -> Iterator[Proxy]:
    """Raises RuntimeError when it does not start."""
    config, port = folder / "litellm.yaml", _free_port()
    config.write_text(CONFIG.format(url=url, key=KEY))
    surroundings = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LITELLM_", "OPENAI_", "LANEWAY_", "PYTHON", "DATABASE_"))
    }
    process = subprocess.Popen(
        [peers.python(peers.PROXY).parent / "litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port)],
        cwd=folder,
        env={**surroundings, "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health/liveliness", process)
        yield Proxy(f"http://127.0.0.1:{port}/v1", process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"LiteLLM's proxy ended with {process.returncode}") from None
        time.sleep(0.2)
    raise RuntimeError(f"LiteLLM's proxy is not ready after {READY_S:g} s")
