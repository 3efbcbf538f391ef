"""Saying something to a flow from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laneway.app.python.tasks import to_json
from laneway.errors import ConflictError, UsageError
from laneway.store.flows import Event

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


async def send(lw: Laneway, ref: str, name: str, data: Any) -> None:
    """Raises ConflictError when the flow has ended, NotFoundError, UsageError."""
    if not name:
        raise UsageError("an event needs a name", hint="give the name that the flow waits for")
    now = lw.clock.now()
    task = await lw.store.find_task(ref)
    if not await lw.store.send_event(task.id, Event(name, to_json(data, name), now), now):
        raise ConflictError(
            f"{task.key or f'task {task.id}'} has ended ({task.state.value}): nobody waits for {name!r} there",
            hint="`laneway status` shows what still runs",
        )
    lw.poke()
