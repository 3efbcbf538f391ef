"""Bad lines: the first of them in full, all of them counted and, where they are skipped, kept in a file of their
own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import orjson

from laneway.files import open_private
from laneway.hiding import reason_without_words
from laneway.intake.draft import BadLine

SHOWN = 20
KEPT = 100_000  # bad lines that go into the side file; more are only counted
KEPT_BYTES = 64_000_000  # of what they say; beyond that only the reasons are kept


class Faults:
    def __init__(self, name: str, *, hide_content: bool = False) -> None:
        """``hide_content``: show no reason's quotations; the side file has them, beside the lines themselves."""
        self.name = name
        self._hide_content = hide_content
        self.count = 0
        self._kept: list[BadLine] = []
        self._bytes = 0

    def add(self, bad: BadLine) -> None:
        self.count += 1
        self._bytes += len(bad.raw)
        if len(self._kept) < KEPT:
            self._kept.append(bad if self._bytes <= KEPT_BYTES else dataclasses.replace(bad, raw=b""))

    def report(self) -> str:
        """The first of them with place and reason, and how many there are in all."""
        return f"{self.name}: {self._what()}; nothing was sent{self._shown()}"

    def first(self) -> list[BadLine]:
        """Those that are shown to people."""
        first = self._kept[:SHOWN]
        if self._hide_content:
            return [dataclasses.replace(bad, reason=reason_without_words(bad.reason)) for bad in first]
        return first

    def _what(self) -> str:
        one, many = ("file", "files") if self._kept and self._kept[0].file is not None else ("line", "lines")
        return f"1 {one} cannot be used" if self.count == 1 else f"{self.count:,} {many} cannot be used"

    def _shown(self) -> str:
        shown = "".join(f"\n  {bad.place}: {bad.reason}" for bad in self.first())
        return shown + (f"\n  … and {self.count - SHOWN:,} more" if self.count > SHOWN else "")

    def write(self, path: Path) -> None:
        """Write them with their reasons as JSONL: ``{"line", "reason", "raw"}``, of files ``{"file", "reason"}``."""
        partial = path.with_name(path.name + ".partial")
        with open_private(partial, "wb") as file:
            for bad in self._kept:
                row: dict[str, Any] = {"file": bad.file, "reason": bad.reason}
                if bad.file is None:
                    row = {"line": bad.line, "reason": bad.reason, "raw": bad.raw.decode("utf-8", "replace")}
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        partial.replace(path)
