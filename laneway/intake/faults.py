"""Bad lines: the first of them in full, all of them counted and, where they are skipped, kept in a file of their
own."""

from __future__ import annotations

from pathlib import Path

import orjson

from laneway.intake.draft import BadLine

SHOWN = 20
KEPT = 100_000  # bad lines that go into the side file; more are only counted


class Faults:
    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self._kept: list[BadLine] = []

    def add(self, bad: BadLine) -> None:
        self.count += 1
        if len(self._kept) < KEPT:
            self._kept.append(bad)

    def report(self) -> str:
        """The first lines with number and reason, and how many there are in all."""
        what = "1 line cannot be used" if self.count == 1 else f"{self.count:,} lines cannot be used"
        shown = "".join(f"\n  line {bad.line}: {bad.reason}" for bad in self._kept[:SHOWN])
        more = f"\n  … and {self.count - SHOWN:,} more" if self.count > SHOWN else ""
        return f"{self.name}: {what}; nothing was sent{shown}{more}"

    def write(self, path: Path) -> None:
        """Write the bad lines, with their reasons, as JSONL: ``{"line", "reason", "raw"}``."""
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            for bad in self._kept:
                row = {"line": bad.line, "reason": bad.reason, "raw": bad.raw.decode("utf-8", "replace")}
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        partial.replace(path)
