"""Ended tasks, as they go into results files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from laneway.task import State, Wire


class Result(NamedTuple):
    """An ended task as the results writer needs it."""

    seq: int
    task_id: int
    key: str | None
    type: str
    wire: Wire  # the format of ``output``
    state: State
    model: str
    record: bytes | None
    output: bytes | None
    error: Mapping[str, Any] | None
    cost: float | None  # USD over all its attempts; None: unknown
    settled_at: float
    request_id: str | None
    schema: Mapping[str, Any] | None = None  # what the answer was asked for as
    pruned: bool = False  # its content was taken away
