"""What people say when they steer: pauses, a choice of tasks, and what to change about them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from laneway.task import State, Urgency, WaitReason, Wire


class PauseKind(StrEnum):
    LANE = "lane"
    ACCOUNT = "account"
    RUN = "run"


class Pause(NamedTuple):
    """A lane, account or run that somebody paused or has paused before."""

    kind: PauseKind
    name: str  # of a run: its number
    since: float | None  # None: it was resumed
    resumes: int  # how often somebody resumed it

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Selector(NamedTuple):
    """Which tasks: every condition that is given must hold; of several values for one, any."""

    ids: tuple[int, ...] | None = None
    run_id: int | None = None
    states: tuple[State, ...] = ()
    classes: tuple[str, ...] = ()  # of the failure: "transient", "request", …
    codes: tuple[str, ...] = ()  # of the failure: "rate_limit_exceeded", …
    types: tuple[str, ...] = ()
    models: tuple[str, ...] = ()  # where they are queued or ended, fallbacks included
    lanes: tuple[str, ...] = ()
    urgencies: tuple[Urgency, ...] = ()
    tags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # with * and ? as in file names


class Extent(NamedTuple):
    """What a selector finds, before anything is changed."""

    states: Mapping[State, int] = {}
    wires: Mapping[Wire, int] = {}
    longest: int = 0  # tokens of the longest request with its answer, estimated

    @property
    def tasks(self) -> int:
        return sum(self.states.values())


class Change(NamedTuple):
    """What is set by hand about tasks that have not ended. None: left as it is."""

    urgency: Urgency | None = None
    lane: str | None = None
    model: str | None = None
    deadline: float | None = None  # seconds since 1970
    target_waits: Mapping[Urgency, float] = {}  # seconds, as configured


class Waiting(NamedTuple):
    """Tasks that wait for one reason."""

    reason: WaitReason
    tasks: int
    next_at: float | None
