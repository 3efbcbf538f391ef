"""What the store knows of flows: their children, what they wait for, and what they have heard so far.

A flow is a task that is carried out step by step. At the end of a step it *suspends*: with its settlement go the
children that it began, what it had heard, and what it waits for now; all or nothing. Nobody holds a flow that waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from laneway.task import FLOW, RESTING_FLOW, NewTask, Settlement, State, WaitReason, is_flow


class Child(NamedTuple):
    """A task that a flow begins. ``name``: unique within the flow, the same on every replay."""

    name: str
    task: NewTask


class WaitGroup(NamedTuple):
    """Children of which ``need`` must end before the flow can do anything new; ``eager``: or one must fail."""

    names: tuple[str, ...]
    need: int
    eager: bool = False


@dataclass(slots=True)
class Suspension:
    """What a step of a flow leaves behind. A flow that ended well has nothing under way; of one that failed, all that
    is gets called off."""

    step: int  # its number, from 0
    at: float  # the flow's time in this step, seconds since 1970
    heard: Sequence[str] = ()  # children that had ended and timers that had fired, in the order in which it was told
    events: int = 0  # of all that were sent to it, how many it knows
    begun: Sequence[Child] = ()
    again: Sequence[str] = ()  # children that had failed before the flow was retried
    waits_for: Sequence[WaitGroup] = ()
    called_off: Sequence[str] = ()  # children whose results are not wanted any more
    orphans: Sequence[str] = ()  # children that the function, which has changed, does not begin any more
    wake_at: float | None = None  # its next timer
    reason: WaitReason = WaitReason.CHILDREN  # the others mean that it may rest for days
    ended: bool = False

    @property
    def queue(self) -> str:
        """The model under which the flow is queued from here on."""
        return FLOW if self.reason is WaitReason.CHILDREN else RESTING_FLOW

    def groups(self) -> dict[str, int]:
        """By child: the number of the group that it counts for."""
        return {name: number for number, group in enumerate(self.waits_for) for name in group.names}


class Flow(NamedTuple):
    """A flow whose step is settled: ``left`` is what it leaves behind."""

    settlement: Settlement
    left: Suspension
    run_id: int
    cell_id: int

    @property
    def id(self) -> int:
        return self.settlement.task_id


class Suspended(NamedTuple):
    state: State
    cell_id: int  # where the flow is queued from here on


class Step(NamedTuple):
    number: int
    at: float
    heard: tuple[str, ...]
    events: int


class Heard(NamedTuple):
    """A child as its flow may know it."""

    name: str
    task_id: int
    state: State
    output: bytes | None = None
    error: Mapping[str, Any] | None = None
    pruned: bool = False  # its output was taken away


class Event(NamedTuple):
    """Something that was said to a flow from outside. ``content``: JSON."""

    name: str
    content: bytes
    at: float


class Ask(NamedTuple):
    """What a flow would hear: of these children that have ended, and of events after the first ``events``."""

    flow_id: int
    names: Sequence[str]
    events: int


@dataclass(slots=True)
class Arrived:
    children: list[Heard] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """All that a flow has done and heard."""

    steps: list[Step] = field(default_factory=list)
    children: dict[str, Heard] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class Node(NamedTuple):
    """One task of a flow's tree."""

    task_id: int
    parent: int | None
    name: str
    type: str
    state: State
    wait_reason: str | None
    model: str
    submitted_at: float
    started_at: float | None  # its first try
    settled_at: float | None
    cost: float | None  # USD, its own calls
    latency: float | None  # seconds, of its last try
    orphaned: bool = False  # the flow's function has changed and does not begin it any more
    step: int | None = None  # of its flow, in which it was begun
    called: float = 0.0  # seconds that its calls of models took, tries included

    @property
    def is_flow(self) -> bool:
        return is_flow(self.model)


class TypeCount(NamedTuple):
    """So many tasks of a run, or of what its flows began."""

    type: str
    is_flow: bool
    state: State
    tasks: int


class Looking(Protocol):
    """What people may see of flows."""

    async def trees(self, flow_ids: Sequence[int], most: int | None = None) -> list[Node]:
        """These tasks with all that they began, parents before their children. ``most``: only so many, those nearest
        to the flows themselves."""
        ...

    async def chronicles(self, flow_ids: Sequence[int]) -> dict[int, History]:
        """Their steps, and what was said to them; without their children."""
        ...

    async def flows(self, run_id: int, limit: int, *, ended: bool = False) -> list[int]:
        """Of the run's flows: those that run first, then those that wait, the failed, the newest that ended, and those
        that have not begun. ``ended``: only those that ended well, the newest first."""
        ...

    async def shape(self, run_id: int) -> list[TypeCount]:
        """How many tasks of which type the run has, with what its flows began."""
        ...

    async def last_flow(self, type_: str) -> tuple[int, int] | None:
        """The newest flow of this type, and its run."""
        ...


class Flowing(Looking, Protocol):
    """This part of the store."""

    async def history(self, flow_id: int) -> History:
        """Everything, for a replay."""
        ...

    async def arrived(self, asked: Sequence[Ask]) -> dict[int, Arrived]:
        """What there is for each of these flows, by id."""
        ...

    async def open_flows(self) -> int:
        """How many have begun and not ended, but for those that wait for an event or a time."""
        ...

    async def send_event(self, flow_id: int, event: Event, now: float) -> bool:
        """Say something to a flow; it may wait for it, or will ask later. False: it has ended. Raises NotFoundError."""
        ...

    async def tree(self, flow_id: int) -> list[Node]:
        """The task with all that it began, parents before their children."""
        ...
