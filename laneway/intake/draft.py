"""What a reader makes of a line: a draft to be routed, or a fault to be reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from laneway.task import Spec, Wire
from laneway.triage.patient import Pins


@dataclass(slots=True)
class Draft:
    """A valid task: rendered and measured, not yet routed."""

    line: int  # 1-based, where it begins in the input
    key: str
    spec: Spec
    body: bytes
    text: str
    input_tokens: int
    output_tokens: int
    pins: Pins = Pins()
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    record: bytes | None = None
    deadline: float | None = None
    refused_by: Mapping[Wire, str] = field(default_factory=dict)  # formats that cannot carry it: what of it
    attachments: frozenset[str] = frozenset()  # of "image", "pdf"
    file: str | None = None  # of a file that is one task: its name, and ``line`` only its number
    as_text: Callable[[], Draft] | None = None  # the same with a PDF's text instead of it; raises InputError

    def bad(self, reason: str) -> BadLine:
        """What the draft is when it turns out later that it cannot be used."""
        return BadLine(self.line, reason, b"", self.file)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line, or a file, that cannot become a task, and why in words its author understands."""

    line: int
    reason: str
    raw: bytes
    file: str | None = None  # the name of a file that should have been one task

    @property
    def place(self) -> str:
        if self.file is None:
            return f"line {self.line:,}"
        return "".join(char if char.isprintable() else "?" for char in self.file)
