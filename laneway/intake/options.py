"""How an input is to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from laneway.task import Spec, Urgency

if TYPE_CHECKING:
    from laneway.intake.prompts import Document, Rendered


class RecordType(Protocol):
    """What makes tasks of records."""

    name: str
    key_field: str | None  # the column that holds a record's key, where it is said
    spec: Spec

    def render(self, record: Mapping[str, Any], document: Document | None = None) -> Rendered:
        """The request for a record. Raises InputError when it cannot be one."""
        ...


@dataclass(frozen=True, slots=True)
class ReadOptions:
    type: str | None = None
    calls: RecordType | None = None  # what is called with each record, instead of a prompt type
    prompt: Path | None = None
    model: str | None = None
    lane: str | None = None
    urgency: Urgency | None = None
    triage: bool = False  # leave the model to triage even where the input names one
    limit: int | None = None  # tasks
    samples: int = 1  # answers for each task
    also: tuple[str, ...] = ()  # more files, as a shell makes of a pattern: each is one task
    passed_over: tuple[Path, ...] = ()  # files of a folder that are none of its tasks (the results)
