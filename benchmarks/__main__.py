"""``python -m benchmarks NAME [--repeat N] [--json] [--report FILE.md]``: one object on the last line.

``python -m benchmarks peers install`` makes the environment of the tools that are measured beside Laneway.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from benchmarks.common import machine

NAMES = (
    "slots",
    "pace",
    "full_bucket",
    "makespan",
    "urgent",
    "tail",
    "adaptive",
    "outage",
    "failover",
    "crash",
    "faults",
    "flows",
    "scaleout",
    "grants",
    "memory",
    "queue",
    "overhead",
    "service",
    "startup",
    "intake",
    "breakeven",
    "simulator",
    "structured",
    "plan",
    "triage",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name in NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        told = (module.__doc__ or "").strip()
        one = names.add_parser(name, help=told, description=told)
        one.add_argument("--repeat", type=int, default=3, help="measurements of which the median is told (default: 3)")
        one.add_argument("--json", action="store_true", help="one line")
        one.add_argument("--report", type=Path, metavar="FILE.md", help="also as Markdown, its plots beside it")
        if hasattr(module, "options"):
            module.options(one)
    names.add_parser("peers", help="make the environment of the peers").add_argument("what", choices=("install",))
    given = vars(parser.parse_args())
    name = given.pop("name")
    if name == "peers":
        return _install()
    as_json, report = given.pop("json"), given.pop("report")
    said = importlib.import_module(f"benchmarks.{name}").run(given.pop("repeat"), **given)
    said = {"benchmark": name, **machine(), **said}
    if report is not None:
        importlib.import_module("benchmarks.report").write(report, said)
    print(json.dumps(said, indent=None if as_json else 2))
    return 0


def _install() -> int:
    from benchmarks import peers

    if (why := peers.missing()) is not None:
        sys.stderr.write(why + "\n")
        return 1
    print(peers.folder())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
