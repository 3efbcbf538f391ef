"""Other ways to send many requests, each in a script of its own, run in an environment of their own.

The environment is made in a cache folder when it is first needed (or by ``python -m benchmarks peers install``). A
peer reads a job from standard input and prints one object: how long it took, its CPU time with all imports, how many
requests succeeded and failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
PROXY = HERE / "proxy.txt"  # of an environment of its own
PEERS: Mapping[str, str] = {
    "gather": "gather on the openai SDK, a semaphore of 100 as scripts have it, or of the true concurrency",
    "gather_tuned": "the same with the best semaphore, computed from the latencies that the simulator will draw",
    "cookbook": "a script of the OpenAI cookbook's kind: a bucket of requests and one of tokens",
    "litellm_router": "LiteLLM's Router, inside the same semaphore",
}
SCRIPTS = {"gather_tuned": "gather"}  # where a peer's script has another name
INSTALL_S = 900.0


def option(parser: argparse.ArgumentParser, more: str = "") -> None:
    """``--peers``, for a benchmark that has some."""
    told = f"in the first repeat, in every one (each is the same), or not at all{more} (default: %(default)s)"
    parser.add_argument("--peers", choices=("once", "every", "each", "none"), default="once", help=told)


def folder(requirements: Path = REQUIREMENTS) -> Path:
    """Where the environment is: one for each set of requirements and Python."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "laneway-benchmarks"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return root / f"peers-{digest}"


def python(requirements: Path = REQUIREMENTS) -> Path:
    return folder(requirements) / ("Scripts" if os.name == "nt" else "bin") / "python"


@cache
def missing(requirements: Path = REQUIREMENTS) -> str | None:
    """None when the environment is there or could be made, else why not."""
    if (folder(requirements) / "complete").exists():
        return None
    try:
        install(requirements)
    except (OSError, subprocess.SubprocessError) as error:
        words = getattr(error, "stderr", None) or str(error)
        return f"their environment could not be made: {words.strip().splitlines()[-1]}"
    return None


def ready() -> bool:
    return missing() is None


def install(requirements: Path = REQUIREMENTS) -> Path:
    """Make the environment. Raises OSError, SubprocessError."""
    place = folder(requirements)
    sys.stderr.write(f"making the peers' environment in {place}\n")
    venv.EnvBuilder(clear=True, with_pip=True).create(place)
    command: list[str | Path] = [
        python(requirements),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        requirements,
    ]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    (place / "complete").touch()
    return place


def versions(*names: str, requirements: Path = REQUIREMENTS) -> dict[str, str]:
    """As installed, of what is in the requirements: of these packages, or of all."""
    lines = [line.split("#")[0].strip() for line in requirements.read_text().splitlines()]
    pinned = {name.split("[")[0]: version for name, version in (line.split("==", 1) for line in lines if line)}
    return {name: version for name, version in pinned.items() if not names or name in names}


def queue(peer: str, patience: float) -> dict[str, Any]:
    """One run of another queue (``queues``): its figures, or under ``skipped`` why there are none."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PEER_", "PYTHON"))}
    process = subprocess.Popen(
        [python(), "-m", "benchmarks.peers.queues", peer],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**keep, "PYTHONPATH": str(HERE.parent.parent)},
        cwd=HERE.parent.parent,
    )
    try:
        out, words = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.terminate()  # it stops its servers and workers itself
        out, words = process.communicate()
        words += f"stopped after {patience:g} s"
    if process.returncode or not out:
        return {"skipped": (words.strip().splitlines() or [f"exit {process.returncode}"])[-1][-500:]}
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return said


def run(peer: str, job: Mapping[str, Any], patience: float) -> dict[str, Any]:
    """One run, stopped after ``patience`` seconds; what had no answer by then counts as failed."""
    began = time.perf_counter()
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTHON"))}
    process = subprocess.Popen(
        [python(), HERE / f"{SCRIPTS.get(peer, peer)}.py", peer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=keep,
        cwd=folder(),
    )
    try:
        out, words = process.communicate(json.dumps(job), timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        seconds = round(time.perf_counter() - began, 3)
        return {"seconds": seconds, "wall_s": seconds, "succeeded": None, "failed": 0, "cpu_s": None, "stopped": True}
    if process.returncode or not out:
        raise RuntimeError(f"{peer}: exit {process.returncode}: {words[-2000:]}")
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return {**said, "wall_s": round(time.perf_counter() - began, 3), "stopped": False}
