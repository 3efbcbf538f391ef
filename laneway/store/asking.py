"""What the store knows of questions to triage's classifier: tasks that wait for a verdict, and verdicts that are kept.

A question is a task of its own beside those of the run (``aside``): it has the queue's limits, leases, retries and
ledger, and its cost counts for the run; but it is in no count of the run's tasks and in none of its results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from laneway.store.runs import Run
from laneway.task import NewTask, Route, WaitReason

Labels = Mapping[str, str]  # field (category, complexity, urgency) → label


class Ruling(NamedTuple):
    """What a question's answer means for one task."""

    task_id: int
    route: Route | None = None  # None: the one it has stays
    due_at: float = 0.0  # its place in its queue cell, with this route
    said: Labels | None = None  # {}: the classifier would not say; None: it was not heard in time, or made no sense
    digest: bytes | None = None  # under which ``said`` is kept for the same text


class Question(NamedTuple):
    """That the classifier was asked about a task."""

    asked_in: int  # the task that asks
    at: float
    answered_at: float | None
    said: Labels | None
    tasks: int = 1  # that this question is about


class Judged(NamedTuple):
    """That triage judged a running task's calls again, and the model changed."""

    at: float
    origin: str
    model: str
    reason: str


class AskedFigures(NamedTuple):
    """How often the classifier was asked, and what it cost."""

    asked: int = 0  # questions; of them …
    answered: int = 0  # … were answered with at least one label,
    abstained: int = 0  # … the classifier would not say,
    unheard: int = 0  # … had no usable answer in time: these tasks went on with their safe route. The rest is open
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0  # None: a price is unknown


NOT_ASKED = AskedFigures()
LONGEST_S = 86_400.0  # between a question and its last call


class Asking(Protocol):
    """This part of the store."""

    async def verdicts(self, digests: Sequence[bytes]) -> dict[bytes, Labels]:
        """What the classifier said before, of those that it was asked."""
        ...

    async def ask(
        self, run: Run, questions: Sequence[NewTask], about: Sequence[Sequence[int]], now: float, *, held: bool = False
    ) -> list[int]:
        """Queue questions, each about some tasks. ``held``: until the run is sealed. Returns their ids."""
        ...

    async def waiting_for(self, question: int) -> list[int]:
        """Those of its tasks that still wait for its answer, or for a time."""
        ...

    async def hear(self, question: int, rulings: Sequence[Ruling], now: float) -> int:
        """Keep what was said, and let tasks that still wait go on with the route that follows from it. Returns how many
        went on; a task that has begun, or was called off, stays as it is."""
        ...

    async def drop_questions(self, run_id: int) -> int:
        """Call off those of a run that nobody waits for any more and nobody has begun. Returns how many."""
        ...

    async def questions(self, task_id: int) -> list[Question]:
        """When the classifier was asked about a task, and what it said."""
        ...

    async def note_judged(self, task_id: int, judged: Judged) -> None:
        """Keep that the calls of a task go to another model."""
        ...

    async def judged(self, task_id: int) -> list[Judged]:
        """When that happened, in order."""
        ...

    async def asked(self, run_id: int | None = None, since: float = 0.0) -> AskedFigures:
        """Of a run or of all, questions asked and calls begun since a time. Questions of the day before it are looked
        at for calls."""
        ...


def wait_of(task: NewTask, now: float, *, held: bool) -> tuple[str | None, float | None]:
    """What a new task waits for, and until when. A held one's wait for a verdict begins when its run is sealed: until
    then only its length is kept."""
    if task.wake_at is not None:
        return None if held else WaitReason.SCHEDULED.value, task.wake_at
    if task.verdict_within is not None:
        return WaitReason.TRIAGE.value, task.verdict_within if held else now + task.verdict_within
    return None, None
