"""What the service shows of tasks, runs and failures: from counters and indexes, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from laneway.store.runs import Run
from laneway.store.steering import Selector
from laneway.store.teams import ALL, OfTeam
from laneway.task import Route, State, Urgency, WaitReason

TaskFilter = Selector
LOOKED_AT = 5_000  # tasks that one page of a list looks at
NO_KIND = 0  # the failure_id of failed tasks that left their run or stand beside it: they are counted nowhere
FILLED = 2_000  # failed tasks of a version before that are given their kind at once
MOST_KINDS = 500  # of failures that are told of, the most frequent ones
LONGEST_CODE = 200


class FailureCount(NamedTuple):
    """Failed tasks of one kind. ``cls`` "": of a version before, not looked at yet."""

    cls: str
    code: str
    type: str
    model: str
    lane: str
    run_id: int
    tasks: int
    example: int  # the newest of them
    message: str = ""  # what was said of it


class TaskLine(NamedTuple):
    """A task in a list: without its request and answer."""

    id: int
    run_id: int
    key: str | None
    type: str
    state: State
    wait_reason: WaitReason | None
    wake_at: float | None
    model: str
    lane: str
    urgency: Urgency
    tags: tuple[str, ...]
    team: str | None
    attempts: int
    submitted_at: float
    due_at: float
    deadline: float | None
    settled_at: float | None
    cost: float | None  # USD; None: not known, or nothing yet
    error: Mapping[str, Any] | None


class TaskPage(NamedTuple):
    tasks: list[TaskLine]
    next: int | None  # the cursor of what follows; None: nothing does


class Depth(NamedTuple):
    """Counters of all cells of a model, lane and urgency."""

    model: str
    lane: str
    urgency: Urgency
    counts: Mapping[State, int]


class RouteCount(NamedTuple):
    """So many tasks that triage sent the same way, for the same reasons."""

    route: Route
    tasks: int


class Viewing(Protocol):
    """This part of the store. ``team``: whose runs."""

    async def failure_groups(self, *, run_id: int | None = None, team: OfTeam = ALL) -> list[FailureCount]:
        """The most frequent first."""
        ...

    async def list_tasks(self, filter: TaskFilter, cursor: int | None, limit: int) -> TaskPage:
        """The newest first, of those with ids below the cursor. Looks at ``LOOKED_AT`` tasks at most: a page may be
        short or empty though more follow. What flows and triage began is not among them."""
        ...

    async def count_tasks(self, filter: TaskFilter) -> Mapping[State, int]:
        """How many tasks it finds, by state; quick where it says nothing of tags, keys, and types of what has not
        failed."""
        ...

    async def list_runs(
        self, cursor: int | None, limit: int, *, team: OfTeam = ALL, kind: str | None = None
    ) -> list[Run]:
        """The newest first, of those with ids below the cursor. ``kind``: as in their ``info``."""
        ...

    async def run_counts(self, run_ids: Sequence[int]) -> Mapping[int, Mapping[State, int]]:
        """How many tasks of these runs are in which state."""
        ...

    async def depths(self, *, team: OfTeam = ALL) -> list[Depth]: ...

    async def oldest_ready(self, *, team: OfTeam = ALL) -> Mapping[str, float]:
        """By lane: when the first in the queue of each cell was submitted, the earliest of them."""
        ...

    async def newest_routes(self, most: int, *, team: OfTeam = ALL) -> list[RouteCount]:
        """How the newest tasks were routed, ``most`` of them looked at; without triage's own questions."""
        ...

    async def describe_worker(self, worker: str, facts: Mapping[str, Any], now: float) -> None:
        """Keep what a worker says of itself as the state ``worker:NAME``. What those said who are gone goes."""
        ...
