"""What the server tells of, as a client has it. A newer server may tell more: that is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from laneway.client.refusals import task_error
from laneway.errors import NotFoundError

ENDED = frozenset({"succeeded", "failed", "cancelled"})


class Told:
    """Made of the server's JSON."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        return cls(**{name: told[name] for name in cls.__dataclass_fields__ if name in told})


@dataclass(frozen=True)
class Task(Told):
    """Times are seconds since 1970. ``output``: parsed where JSON was asked for, else text; None until it has ended,
    and in lists. ``error``: with class, code and message."""

    id: int
    key: str | None
    state: str
    type: str
    model: str
    lane: str
    urgency: str
    run_id: int
    tags: list[str]
    submitted_at: float
    due_at: float
    wake_at: float | None = None
    wait_reason: str | None = None
    attempts: int = 0
    settled_at: float | None = None
    cost_usd: float | None = None
    error: Mapping[str, Any] | None = None
    deadline: float | None = None
    output: Any = None
    pruned: bool = False

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def result(self) -> Any:
        """The answer of an ended task. Raises TaskFailed, TaskCancelled, and NotFoundError when it was pruned."""
        if self.state != "succeeded":
            raise task_error(self.key or f"task {self.id}", self.state, self.error, self.id)
        if self.pruned:
            raise NotFoundError(f"the result of task {self.id} was pruned from the store")
        return self.output


@dataclass(frozen=True)
class Result(Told):
    """One line of a run's results. ``seq``: where ``results(…, after=seq)`` goes on."""

    seq: int
    task: int
    key: str | None
    type: str
    state: str
    model: str
    output: Any
    error: Mapping[str, Any] | None
    cost_usd: float | None
    settled_at: float
    pruned: bool


@dataclass(frozen=True)
class Run(Told):
    """``tasks``: how many, by state."""

    id: int
    kind: str | None
    name: str
    team: str | None
    sealed: bool
    created_at: float
    tasks: Mapping[str, int]
    spent_usd: float
    max_cost_usd: float | None
    paused: bool


@dataclass(frozen=True)
class Selected(Told):
    """``states``: of the tasks that were found. With ``dry_run`` nothing was changed."""

    matched: int
    states: Mapping[str, int]
    changed: int
    dry_run: bool


@dataclass(frozen=True)
class Event:
    """``id``: where ``events(after=id)`` goes on. ``name``: ``ended`` or ``state`` with a ``task`` (without its
    answer), ``figures`` with ``data``."""

    name: str
    id: str | None
    data: Any

    @property
    def task(self) -> Task:
        return Task.of(self.data)


@dataclass(frozen=True)
class Mapped:
    """A record of ``map``, and the task that was made of it, ended. ``index``: its place among the records."""

    index: int
    record: Any
    task: Task

    @property
    def output(self) -> Any:
        """None where there is no answer."""
        return self.task.output

    def result(self) -> Any:
        """The answer. Raises TaskFailed, TaskCancelled, NotFoundError."""
        return self.task.result()
