"""One line of the examination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it runs, but not as it should
    PROBLEM = "problem"  # it does not run


@dataclass(frozen=True, slots=True)
class Finding:
    """``check``: what was looked at (``account openai``); ``next``: what to do about it, "" where nothing is."""

    check: str
    status: Status
    said: str
    next: str = ""

    def as_json(self) -> dict[str, str]:
        return {"check": self.check, "status": self.status.value, "said": self.said, "next": self.next}


def ok(check: str, said: str, next_: str = "") -> Finding:
    return Finding(check, Status.OK, said, next_)


def warning(check: str, said: str, next_: str) -> Finding:
    return Finding(check, Status.WARNING, said, next_)


def problem(check: str, said: str, next_: str) -> Finding:
    return Finding(check, Status.PROBLEM, said, next_)


def count(findings: Sequence[Finding], status: Status) -> int:
    return sum(finding.status is status for finding in findings)
