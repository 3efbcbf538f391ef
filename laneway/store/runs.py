"""Runs as the store knows them, and what became of what was submitted to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Run(NamedTuple):
    """Tasks submitted together. ``identity`` is what a later submission of the same work is recognised by."""

    id: int
    identity: str
    generation: int  # counts submissions; a task belongs to the run while it was part of the last sealed one
    sealed: bool  # the last submission is complete
    created_at: float
    cursor: int  # results up to this sequence number are in the results file …
    offset: int  # … which holds this many bytes of them
    max_cost: float | None  # USD
    spent: float  # USD, all submissions, lost attempts at their reserved cost
    budget_spent: float  # USD, of the present budget (since the last stop that was caused by the budget)
    info: Mapping[str, Any] = {}


@dataclass(slots=True)
class Submitted:
    """What became of one batch of tasks."""

    ids: list[int] = field(default_factory=list)  # one for each task given, in order
    new: int = 0
    kept: int = 0  # known, and ended well or still on their way
    again: int = 0  # known and failed: will be tried again
    duplicates: int = 0  # the same key and body twice in one submission
    shared: int = 0  # done by an earlier task of another run (``dedupe_for``)
    conflicts: list[int] = field(default_factory=list)  # positions whose key came with another body before
    waiting: list[int] = field(default_factory=list)  # positions of tasks that wait for the classifier (or for a time)


class Sealed(NamedTuple):
    opened: int  # tasks that may now run
    dropped: int  # tasks of earlier submissions that this one no longer names
    rewrite: bool  # the results file must be written anew
