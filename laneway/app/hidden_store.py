"""The store as those see it who have set ``hide_content``: its errors, of whatever age, without anybody's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from laneway.hiding import HIDDEN, error_without_words
from laneway.store.teams import ALL

if TYPE_CHECKING:
    from laneway.store.feedback import Feedback
    from laneway.store.figures import RunFigures
    from laneway.store.interface import Store
    from laneway.store.results import Result
    from laneway.store.runs import Run
    from laneway.store.teams import OfTeam
    from laneway.store.views import FailureCount, TaskFilter, TaskLine, TaskPage
    from laneway.task import Attempt, Task

    T = TypeVar("T", Attempt, Result, Task, TaskLine)


def hidden_store(store: Store) -> Store:
    """Every verb is the store's own; what it tells of errors has no words in it."""
    return cast("Store", _HiddenStore(store))


class _HiddenStore:
    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def find_task(self, ref: str, run_id: int | None = None) -> Task:
        return _hidden(await self._store.find_task(ref, run_id))

    async def get_tasks(self, ids: Sequence[int]) -> list[Task]:
        return [_hidden(task) for task in await self._store.get_tasks(ids)]

    async def attempts(self, task_id: int) -> list[Attempt]:
        return [_hidden(attempt) for attempt in await self._store.attempts(task_id)]

    async def attempts_of(self, task_ids: Sequence[int]) -> list[Attempt]:
        return [_hidden(attempt) for attempt in await self._store.attempts_of(task_ids)]

    async def feedback(self, task_ids: Sequence[int]) -> list[Feedback]:
        words = await self._store.feedback(task_ids)
        return [word._replace(note=HIDDEN) if word.note else word for word in words]

    async def results_after(self, run: Run, cursor: int, limit: int) -> list[Result]:
        return [_hidden(result) for result in await self._store.results_after(run, cursor, limit)]

    async def failed_after(self, run: Run, cursor: int, limit: int) -> list[Result]:
        return [_hidden(result) for result in await self._store.failed_after(run, cursor, limit)]

    async def figures(self, run: Run, *, since: float | None = None) -> RunFigures:
        figures = await self._store.figures(run, since=since)
        hidden = []
        for group in figures.failures:
            error = error_without_words({"code": group.code, "message": group.message})
            hidden.append(group._replace(code=error["code"], message=error["message"]))
        return figures._replace(failures=tuple(hidden))

    async def failure_groups(self, *, run_id: int | None = None, team: OfTeam = ALL) -> list[FailureCount]:
        hidden = []
        for group in await self._store.failure_groups(run_id=run_id, team=team):
            error = error_without_words({"code": group.code, "message": group.message})
            hidden.append(group._replace(code=error["code"], message=error["message"]))
        return hidden

    async def list_tasks(self, filter: TaskFilter, cursor: int | None, limit: int) -> TaskPage:
        page = await self._store.list_tasks(filter, cursor, limit)
        return page._replace(tasks=[_hidden(line) for line in page.tasks])

    async def load_state(self, name: str) -> tuple[Mapping[str, Any], float] | None:
        found = await self._store.load_state(name)
        return found and (_state(found[0]), found[1])

    async def states(self, prefix: str) -> dict[str, tuple[Mapping[str, Any], float]]:
        return {name: (_state(state), at) for name, (state, at) in (await self._store.states(prefix)).items()}


def _hidden(one: T) -> T:
    return one._replace(error=error_without_words(one.error)) if one.error else one


def _state(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """An account's state says in the provider's words why it is paused."""
    return {**state, "paused": HIDDEN} if state.get("paused") else state
