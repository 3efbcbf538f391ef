"""One flow: what it began, what it heard in which step, what was said to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from laneway.app.flows.trees import Branch, grown
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.dashboard.task import cancel, retry
from laneway.server.envelopes import Refusal
from laneway.server.native.seeing import Seeing
from laneway.store.flows import History
from laneway.task import State, Task, is_flow

NODES = 400  # of a tree that are shown
STEPS, EVENTS = 30, 30  # the newest
PREVIEW = 500  # characters of what was said


class StepLine(NamedTuple):
    number: int
    after_s: float  # since the flow's first step
    heard: str
    began: str


class Said(NamedTuple):
    name: str
    at: float
    content: str | None  # None: hidden


async def figures(asked: Asked) -> Figures:
    task, lw = await _flow(asked), asked.lw
    nodes = await lw.store.trees([task.id], NODES + 1)
    tree = grown(nodes[:NODES])[0]
    past = (await lw.store.chronicles([task.id]))[task.id]
    steps = list(_steps(tree, past))
    hidden = lw.config.hides_on_pages
    return {
        "title": f"{task.type} {task.key or task.id}",
        "task": task,
        "tree": tree,
        "cut": len(nodes) > NODES,
        "states": Counter(branch.node.state.value for branch in tree if branch is not tree),
        "steps": steps[-STEPS:],
        "earlier": max(0, len(steps) - STEPS),
        "events": [
            Said(one.name, one.at, None if hidden else one.content.decode("utf-8", "replace")[:PREVIEW])
            for one in past.events[-EVENTS:]
        ],
        "may": {
            "cancel": asked.caller.operates and not task.state.ended,
            "retry": asked.caller.operates and task.state in (State.FAILED, State.CANCELLED) and not task.pruned,
        },
    }


async def _flow(asked: Asked) -> Task:
    """Raises NotFoundError, Refusal."""
    task = await Seeing(asked.lw).task(asked.caller, str(asked.place["ref"]))
    if not is_flow(task.model):
        raise Refusal(400, f"task {task.id} is no flow; it is shown under Tasks")
    return task


def _steps(tree: Branch, past: History) -> Iterator[StepLine]:
    names = {child.node.name: child.node.type for child in tree.children}
    begun: dict[int | None, list[str]] = {}
    for child in tree.children:
        begun.setdefault(child.node.step, []).append(child.node.type)
    first, known = (past.steps[0].at if past.steps else 0.0), 0
    for step in past.steps:
        heard = [names.get(name, "a timer") for name in step.heard]
        heard += [f"event {event.name}" for event in past.events[known : step.events]]
        known = step.events
        yield StepLine(step.number, step.at - first, _listed(heard), _listed(begun.get(step.number, [])))


def _listed(names: Sequence[str]) -> str:
    """``entities × 3, review``"""
    return ", ".join(name if n == 1 else f"{name} × {n:,}" for name, n in Counter(names).items())


FLOW = Page(
    "/flows/{ref}", "Flow", "flow.html", figures, (Deed("cancel", cancel), Deed("retry", retry)), under="/flows"
)
