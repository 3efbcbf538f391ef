"""Tasks, results and runs as this API tells them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from laneway.app.webhooks import webhook_json
from laneway.errors import LanewayError
from laneway.intake.shapes import output_of
from laneway.providers.chat import answer_text
from laneway.server.native.bounds import LARGEST_PAGE, LONGEST_MESSAGE
from laneway.store.views import TaskLine
from laneway.task import State, Wire, needs_account

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.providers.answers.validate import Answers
    from laneway.store.results import Result
    from laneway.store.runs import Run
    from laneway.task import Attempt, Task

T = TypeVar("T")


def task_line(task: Task | TaskLine, cost: float | None = None) -> dict[str, Any]:
    cost = task.cost if isinstance(task, TaskLine) else cost
    return {
        "id": task.id,
        "key": task.key,
        "state": task.state,
        "type": task.type,
        "model": task.model if needs_account(task.model) else "",
        "lane": task.lane,
        "urgency": task.urgency.label,
        "run_id": task.run_id,
        "tags": list(task.tags),
        "submitted_at": task.submitted_at,
        "due_at": task.due_at,
        "wake_at": task.wake_at,
        "wait_reason": task.wait_reason,
        "attempts": task.attempts,
        "settled_at": task.settled_at,
        "cost_usd": cost,
        "error": shortened(task.error),
    }


async def whole_task(lw: Laneway, task: Task) -> dict[str, Any]:
    hooks = await lw.store.webhooks(task.id)
    return {
        **task_line(task, cost_of(await lw.store.attempts(task.id))),
        "error": dict(task.error) if task.error else None,
        "deadline": task.deadline,
        "output": answer_of(lw, task),
        "pruned": task.pruned,
        "webhook": webhook_json(hooks[-1]) if hooks else None,
    }


def cost_of(attempts: Iterable[Attempt]) -> float | None:
    """USD; None where a price is not known, or nothing was called."""
    calls = [one.cost for one in attempts if one.model and (one.usage is not None or one.cost is not None)]
    return round(sum(cost for cost in calls if cost is not None), 8) if calls and None not in calls else None


def shortened(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As lists have it."""
    if error is None:
        return None
    message = error.get("message")
    return {**error, "message": message[:LONGEST_MESSAGE]} if isinstance(message, str) else dict(error)


def answer_of(lw: Laneway, task: Task) -> Any:
    """Its value where JSON was asked for, else its text. What does not fit today's config is told as it is."""
    if task.state is not State.SUCCEEDED or task.output is None:
        return None
    if task.wire in (Wire.PYTHON, Wire.EMBEDDINGS):
        return _parsed(task.output if task.wire is Wire.PYTHON else answer_text(task.wire, task.output))
    try:
        value = lw.preparing.value(task, task.output)
        return value if not hasattr(value, "model_dump") else value.model_dump(mode="json")
    except LanewayError:
        return answer_text(task.wire, task.output)


def _parsed(text: str | bytes) -> Any:
    with contextlib.suppress(orjson.JSONDecodeError):
        return orjson.loads(text)
    return text


def result_line(result: Result, answers: Answers, *, hidden: bool = False) -> dict[str, Any]:
    """``hidden``: without the answer."""
    return {
        "seq": result.seq,
        "task": result.task_id,
        "key": result.key,
        "type": result.type,
        "state": result.state,
        "model": result.model,
        "output": None if hidden else output_of(result, answers),
        "error": dict(result.error) if result.error else None,
        "cost_usd": None if result.cost is None else round(result.cost, 8),
        "settled_at": result.settled_at,
        "pruned": result.pruned,
    }


def run_line(run: Run, counts: Mapping[State, int], paused: bool) -> dict[str, Any]:
    kind, team = run.info.get("kind"), run.info.get("team")
    return {
        "id": run.id,
        "kind": kind if isinstance(kind, str) else None,
        "name": str(run.info.get("out") or run.identity)[:LONGEST_MESSAGE],
        "team": team if isinstance(team, str) else None,
        "sealed": run.sealed,
        "created_at": run.created_at,
        "tasks": {state.value: n for state, n in counts.items() if n},
        "spent_usd": round(run.spent, 8),
        "max_cost_usd": run.max_cost,
        "paused": paused,
    }


def page_of(
    items: Sequence[T], tell: Callable[[T], Mapping[str, Any]], cursor: Callable[[T], int], behind: int | None
) -> dict[str, Any]:
    """As many of them as fit, one at least. ``behind``: the cursor of what comes after all of them."""
    data: list[Mapping[str, Any]] = []
    size = 0
    for at, item in enumerate(items):
        line = tell(item)
        size += len(orjson.dumps(line)) + 1
        if data and size > LARGEST_PAGE:
            return {"data": data, "next": cursor(items[at - 1])}
        data.append(line)
    return {"data": data, "next": behind}
