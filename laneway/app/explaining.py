"""Everything that is known about one task: why it went where it went, and what its calls came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.app.changes import Changed, changes
from laneway.app.flows.trees import Branch, flow_json, grown
from laneway.app.live_limits import limits_json, limits_set
from laneway.app.standing import Standing, holding, standings
from laneway.app.webhooks import webhook_json
from laneway.store.detours import Detour
from laneway.store.feedback import Feedback
from laneway.store.flows import History
from laneway.store.steering import PauseKind
from laneway.store.webhooks import Webhook
from laneway.task import Attempt, Task, is_flow

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.interface import Store


class Explanation(NamedTuple):
    """A task, its calls, its way to other models, the budgets that hold it back today, what was said of it, what the
    classifier was asked about it, and of a flow what it began and heard. ``content``: "kept", "hidden", "pruned"."""

    task: Task
    attempts: list[Attempt]
    detours: list[Detour]
    waits: list[Standing]
    words: list[Feedback]
    asked: list[dict[str, Any]]
    changed: list[Changed]
    flow: tuple[Branch, History] | None
    content: str
    limits: list[dict[str, Any]]  # that somebody set of its lane, or of its model's accounts
    webhooks: list[Webhook]  # who is told of its end

    def as_json(self, now: float) -> dict[str, Any]:
        words = self.words
        found = {
            **_task_json(self.task, self.attempts),
            "diverted": [{"at": d.at, "from": d.origin, "to": d.model, "reason": d.reason} for d in self.detours],
            "budgets": [one.as_json() for one in self.waits],
            "content": self.content,
            "feedback": [
                {"field": w.about.value, "value": w.value, "model": w.model, "at": w.at, "note": w.note} for w in words
            ],
            "classifier": self.asked,
            "changes": [one.as_json() for one in self.changed],
            "limits_set": self.limits,
            "webhooks": [webhook_json(one) for one in self.webhooks],
        }
        if self.flow is not None:
            found["flow"] = flow_json(*self.flow, now, hide=self.content == "hidden")
        return found


async def explanation(lw: Laneway, task: Task, most: int | None = None) -> Explanation:
    """``most``: of a flow's tree only so many tasks are looked at, those nearest to it."""
    store, now = lw.store, lw.clock.now()
    budgets = await standings(lw.config, store, now) if not task.state.ended else []
    attempts = await store.attempts(task.id)
    changed = changes(lw.config, task, attempts, await store.judged(task.id), now)
    flow = None
    if is_flow(task.model):
        flow = grown(await store.trees([task.id], most))[0], (await store.chronicles([task.id]))[task.id]
    return Explanation(
        task,
        attempts,
        await store.detours(task.run_id, task.id),
        list(holding(lw.config, task, budgets)),
        await store.feedback([task.id]),
        await questions_about(store, task),
        changed,
        flow,
        "pruned" if task.pruned else "hidden" if lw.config.hide_content else "kept",
        [] if task.state.ended else await _limits_of(lw, task),
        await store.webhooks(task.id),
    )


async def _limits_of(lw: Laneway, task: Task) -> list[dict[str, Any]]:
    model = lw.config.models.get(task.model)
    accounts = model.account_names if model else ()
    held = {PauseKind.LANE: (task.lane,), PauseKind.ACCOUNT: accounts, PauseKind.RUN: ()}
    return limits_json(lw.config, [one for one in await limits_set(lw.store) if one.name in held[one.kind]])


async def questions_about(store: Store, task: Task) -> list[dict[str, Any]]:
    """When, with what answer, and what it cost: a question's cost is shared evenly by the tasks that it is about."""
    told = []
    for one in await store.questions(task.id):
        costs = [attempt.cost for attempt in await store.attempts(one.asked_in)]
        known = [cost for cost in costs if cost is not None]
        share = sum(known) / one.tasks if len(known) == len(costs) else None
        told.append(
            {
                "at": one.at,
                "answered_at": one.answered_at,
                "said": None if one.said is None else dict(one.said),
                "task": one.asked_in,
                "together_with": one.tasks - 1,
                "cost_usd": share,
            }
        )
    return told


def _task_json(task: Task, attempts: list[Attempt]) -> dict[str, Any]:
    return {
        "id": task.id,
        "key": task.key,
        "run_id": task.run_id,
        "type": task.type,
        "state": task.state.value,
        "wait_reason": task.wait_reason.value if task.wait_reason else None,
        "wake_at": task.wake_at,
        "deadline": task.deadline,
        "twin": task.twin_id,
        "model": "" if is_flow(task.model) else task.model,
        "route": {**task.route.as_json(), **({"model": ""} if is_flow(task.route.model) else {})},
        "error": dict(task.error) if task.error else None,
        "attempts": [
            {
                "number": number,
                "model": a.model,
                "account": a.account,
                "outcome": a.outcome.value if a.outcome else "running",
                "started_at": a.started_at,
                "latency_s": a.latency,
                "input_tokens": a.usage.input_tokens if a.usage else None,
                "output_tokens": a.usage.output_tokens if a.usage else None,
                "cost_usd": a.cost,
                "error": dict(a.error) if a.error else None,
            }
            for number, a in enumerate(attempts, 1)
        ],
    }
