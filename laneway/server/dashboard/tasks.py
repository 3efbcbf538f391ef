"""A list of tasks, the newest first, by filter."""

from __future__ import annotations

from laneway.server.dashboard.filters import cursor_of, given, link, selector
from laneway.server.dashboard.page import Asked, Figures, Page
from laneway.task import State, Urgency, needs_account

ROWS = 50
STATES = tuple(state.value for state in State)
URGENCIES = tuple(urgency.label for urgency in Urgency)


async def figures(asked: Asked) -> Figures:
    fields, cursor = given(asked), cursor_of(asked)
    page = await asked.lw.store.list_tasks(selector(asked), cursor, ROWS)
    return {
        "fields": fields,
        "states": STATES,
        "urgencies": URGENCIES,
        "tasks": page.tasks,
        "model_of": lambda task: task.model if needs_account(task.model) else "",
        "next": None if page.next is None else link("/tasks", {**fields, "cursor": page.next}),
        "first": link("/tasks", fields) if cursor is not None else None,
    }


TASKS = Page("/tasks", "Tasks", "tasks.html", figures, live=False)
