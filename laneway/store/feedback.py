"""What people say about tasks afterwards: whether an answer was good, and what a task really was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from laneway.task import Attempt


class About(StrEnum):
    """What a word is about. Of each there is one a task: the last."""

    QUALITY = "quality"  # of the answer: good or bad
    CATEGORY = "category"
    URGENCY = "urgency"
    COMPLEXITY = "complexity"


GOOD, BAD = "good", "bad"


class Feedback(NamedTuple):
    """One word about one task."""

    task_id: int
    about: About
    value: str
    note: str | None = None
    model: str = ""  # where the task stood when it was said: whose answer was judged. Filled by the store
    at: float = 0.0


class Judging(Protocol):
    """This part of the store."""

    async def judge(self, words: Sequence[Feedback], now: float) -> int:
        """Keep them; each takes the place of the former word about the same task and thing. Returns of how many tasks
        something was kept: of tasks that are not there, or not yet submitted to the end, nothing is."""
        ...

    async def feedback(self, task_ids: Sequence[int]) -> list[Feedback]:
        """What was said about these tasks, by task."""
        ...

    async def feedback_after(self, after: tuple[int, str], limit: int, since: float = 0.0) -> list[Feedback]:
        """What was said since a time, by (task, about), from behind that place on."""
        ...

    async def attempts_of(self, task_ids: Sequence[int]) -> list[Attempt]:
        """The ledger's lines of these tasks, by task and in order."""
        ...


def last_words(words: Iterable[Feedback]) -> list[Feedback]:
    """Of several about one task and thing the last."""
    return list({(word.task_id, word.about): word for word in words}.values())
