"""``laneway --help`` beside bare Python, whole processes."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks.common import command, median


def run(repeat: int) -> dict[str, Any]:
    def timed(*arguments: str) -> float:
        began = time.perf_counter()
        subprocess.run(arguments, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    timed(*command("--help"))  # files into the cache
    bare, _ = median(lambda: timed(sys.executable, "-c", "pass"), max(repeat, 5))
    help_, _ = median(lambda: timed(*command("--help")), max(repeat, 5))
    return {"help_s": round(help_, 4), "bare_python_s": round(bare, 4), "above_s": round(help_ - bare, 4)}
