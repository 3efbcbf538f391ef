"""What people say when they steer: pauses, a choice of tasks, and what to change about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from laneway.task import State, Urgency, WaitReason, Wire


class PauseKind(StrEnum):
    LANE = "lane"
    ACCOUNT = "account"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Pause:
    """A lane, account or run that somebody paused or has paused before."""

    kind: PauseKind
    name: str  # of a run: its number
    since: float | None  # None: it was resumed
    resumes: int  # how often somebody resumed it

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Selector:
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


@dataclass(frozen=True, slots=True)
class Extent:
    """What a selector finds, before anything is changed."""

    states: Mapping[State, int] = field(default_factory=dict)
    wires: Mapping[Wire, int] = field(default_factory=dict)
    longest: int = 0  # tokens of the longest request with its answer, estimated

    @property
    def tasks(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class Change:
    """What is set by hand about tasks that have not ended. None: left as it is."""

    urgency: Urgency | None = None
    lane: str | None = None
    model: str | None = None
    deadline: float | None = None  # seconds since 1970
    target_waits: Mapping[Urgency, float] = field(default_factory=dict)  # seconds, as configured


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tasks that wait for one reason."""

    reason: WaitReason
    tasks: int
    next_at: float | None
