"""``python -m benchmarks NAME [--repeat N] [--json]``: one object on the last line."""

from __future__ import annotations

import argparse
import importlib
import json
import platform

NAMES = ("slots", "pace", "crash", "memory", "startup", "simulator", "structured", "plan")


def main() -> None:
    lines = [f"  {name:11} {(importlib.import_module(f'benchmarks.{name}').__doc__ or '').strip()}" for name in NAMES]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--repeat", type=int, default=3, help="measurements of which the median is told")
    parser.add_argument("--json", action="store_true", help="one line")
    given = parser.parse_args()
    said = importlib.import_module(f"benchmarks.{given.name}").run(given.repeat)
    said = {"benchmark": given.name, "python": platform.python_version(), **said}
    print(json.dumps(said, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
