"""How an input is to be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from laneway.task import Urgency


@dataclass(frozen=True, slots=True)
class ReadOptions:
    type: str | None = None
    prompt: Path | None = None
    model: str | None = None
    lane: str | None = None
    urgency: Urgency | None = None
    triage: bool = False  # leave the model to triage even where the input names one
    limit: int | None = None  # tasks
    samples: int = 1  # answers for each task
    also: tuple[str, ...] = ()  # more files, as a shell makes of a pattern: each is one task
    passed_over: tuple[Path, ...] = ()  # files of a folder that are none of its tasks (the results)
