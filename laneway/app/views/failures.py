"""What failed, grouped: by class and code, each with what it was and an example."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from laneway.app.views.figures import Shown
from laneway.store.steering import Selector

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.views import FailureCount

MESSAGE = 500  # characters of what was said
EVERY = Selector()


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
    share: float  # of all that failed and were asked for
    example: int  # the newest of them
    message: str
    where: list[Where]


async def failures(lw: Laneway, which: Selector = EVERY) -> list[FailureGroup]:
    """The most frequent first. Of ``which`` the kinds of failures are heeded: run, team, classes, codes, types, models
    and lanes."""
    found = await lw.store.failure_groups(run_id=which.run_id, team=which.team)
    kinds = [one for one in found if _is_one(one, which)]
    total = sum(one.tasks for one in kinds)
    by: dict[tuple[str, str], list[FailureCount]] = {}
    for one in kinds:
        by.setdefault((one.cls, one.code), []).append(one)
    return sorted((_group(of_one, total) for of_one in by.values()), key=lambda group: -group.tasks)


def tasks_of(groups: Iterable[FailureGroup]) -> int:
    return sum(one.tasks for one in groups)


def _is_one(one: FailureCount, which: Selector) -> bool:
    wanted = (
        (which.classes, one.cls),
        (which.codes, one.code),
        (which.types, one.type),
        (which.models, one.model),
        (which.lanes, one.lane),
    )
    return all(value in values for values, value in wanted if values)


def _group(found: Sequence[FailureCount], total: int) -> FailureGroup:
    tasks = sum(one.tasks for one in found)
    newest = max(found, key=lambda one: one.example)
    where = [Where(one.type, one.model, one.lane, one.run_id, one.tasks) for one in found]
    return FailureGroup(
        newest.cls, newest.code, tasks, round(tasks / total, 4), newest.example, newest.message[:MESSAGE], where
    )
