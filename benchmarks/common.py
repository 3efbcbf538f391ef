"""What the benchmarks share: a folder, a file of tasks, the real command, medians."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from laneway.version import VERSION


@contextmanager
def workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="laneway-bench-") as folder:
        yield Path(folder)


def write_batch(path: Path, n: int, model: str = "gpt-4o-mini") -> Path:
    """An OpenAI Batch file of ``n`` short tasks."""
    with path.open("w") as file:
        for i in range(n):
            body = {"model": model, "messages": [{"role": "user", "content": f"hello {i}"}], "max_tokens": 50}
            row = {"custom_id": f"t{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps(row) + "\n")
    return path


def environment(url: str, **more: str) -> dict[str, str]:
    """Of a measured process. Bytecode may be kept, as an installed package has it: compiling ours costs 0.15 s."""
    ours = ("LANEWAY_", "OPENAI_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-benchmark", **more}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "laneway", *arguments]


def laneway(
    folder: Path, url: str, *arguments: str, allowed: Sequence[int] = (0,), env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run the command in a folder; its ``--json`` object. Raises when its exit code is not one of ``allowed``."""
    surroundings = environment(url, **(env or {}))
    done = subprocess.run(
        command(*arguments, "--json"), cwd=folder, env=surroundings, capture_output=True, text=True, check=False
    )
    if done.returncode not in allowed or not done.stdout:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr[-2000:]}")
    data: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return data


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code: ``load`` is that of the minute before."""
    return {
        "python": platform.python_version(),
        "laneway": VERSION,
        "machine": {
            "cpus": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        },
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def median(measure: Callable[[], float], repeat: int) -> tuple[float, list[float]]:
    """The median of several measurements, and all of them."""
    values = [measure() for _ in range(repeat)]
    return statistics.median(values), [round(value, 4) for value in values]
