"""What is told of a task that has ended."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import orjson

from laneway.hiding import error_without_words
from laneway.server.native.telling import answer_of, cost_of, task_line

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.task import Task

LARGEST = 1_000_000  # bytes of an answer that is sent along; what is larger can be fetched
TOLD = (
    "id", "key", "state", "type", "model", "lane", "urgency", "run_id", "tags", "submitted_at", "settled_at",
    "attempts", "cost_usd",
)  # fmt: skip


async def message(lw: Laneway, task: Task) -> bytes:
    """As JSON. Answers, and words of errors, which may quote a prompt, only with ``[server] webhook_content``."""
    line = task_line(task, cost_of(await lw.store.attempts(task.id)))
    data: dict[str, Any] = {name: line[name] for name in TOLD}
    data["error"] = dict(task.error) if task.error else None
    if lw.config.server.webhook_content:
        whole = len(task.output or b"") <= LARGEST
        data["output"] = answer_of(lw, task) if whole else None
        data["output_omitted"] = not whole
    elif task.error:
        data["error"] = error_without_words(task.error)
    ended = datetime.datetime.fromtimestamp(task.settled_at or lw.clock.now(), datetime.UTC)
    said = {
        "type": f"task.{task.state.value}",
        "timestamp": ended.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": data,
    }
    return orjson.dumps(said)
