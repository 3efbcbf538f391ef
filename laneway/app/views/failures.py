"""What failed, grouped: by class and code, each with what it was and an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from laneway.app.views.figures import Shown
from laneway.store.teams import ALL, OfTeam

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.views import FailureCount

MESSAGE = 500  # characters of what was said


@dataclass(frozen=True, slots=True)
class Where(Shown):
    """Tasks of one type on one model in one lane of one run that failed so."""

    type: str
    model: str
    lane: str
    run_id: int
    tasks: int


@dataclass(frozen=True, slots=True)
class FailureGroup(Shown):
    """``cls`` "": tasks that a version before has failed, not looked at yet. ``where``: the most frequent first."""

    cls: str
    code: str
    tasks: int
    share: float  # of all that failed
    example: int  # the newest of them
    message: str
    where: list[Where]


async def failures(lw: Laneway, team: OfTeam = ALL, *, run_id: int | None = None) -> list[FailureGroup]:
    """The most frequent first."""
    kinds = await lw.store.failure_groups(run_id=run_id, team=team)
    total = sum(one.tasks for one in kinds)
    by: dict[tuple[str, str], list[FailureCount]] = {}
    for one in kinds:
        by.setdefault((one.cls, one.code), []).append(one)
    return sorted((_group(found, total) for found in by.values()), key=lambda group: -group.tasks)


def _group(found: Sequence[FailureCount], total: int) -> FailureGroup:
    tasks = sum(one.tasks for one in found)
    newest = max(found, key=lambda one: one.example)
    where = [Where(one.type, one.model, one.lane, one.run_id, one.tasks) for one in found]
    return FailureGroup(
        newest.cls, newest.code, tasks, round(tasks / total, 4), newest.example, newest.message[:MESSAGE], where
    )
