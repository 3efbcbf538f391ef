"""What triage learns from public tables: labels, choice among models, cascades, and what asking costs. Needs --data."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# each a file in benchmarks/routing with ``run(data)`` and, where it needs one, the name of its ``FILE``
PARTS = (
    "mmlu",
    "unroutable",
    "litellm",
    "tickets",
    "banking77",
    "gsm8k_cascade",
    "end_to_end",
    "overhead_ms",
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder with the public tables")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given again")


def run(repeat: int, data: Path | None = None, only: Sequence[str] | None = None) -> dict[str, Any]:
    """Each part once: what varies in it, it draws by itself. ``repeat`` is not looked at."""
    found: dict[str, Any] = {}
    for name in only or PARTS:
        part = importlib.import_module(f"benchmarks.routing.{name}")
        file = getattr(part, "FILE", None)
        if file is not None and (data is None or not (data / file).is_file()):
            found[name] = {"left_out": f"{file} is not in {data}" if data else f"give the folder of {file} with --data"}
            sys.stderr.write(f"{name}: {found[name]['left_out']}\n")
            continue
        began = time.monotonic()
        found[name] = {**part.run(data), "seconds": round(time.monotonic() - began, 1)}
        sys.stderr.write(f"{name}: {found[name]}\n")
    return found
