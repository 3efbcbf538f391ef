"""Flows as trees of what they began, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from laneway.task import State

if TYPE_CHECKING:
    from laneway.store.flows import Event, History, Node

MOST_NODES = 500  # of a tree that are looked at while somebody waits for a page or an answer
MOST = 20  # children of one flow that are shown one by one
FIRST = {State.RUNNING: 0, State.WAITING: 1, State.READY: 2, State.FAILED: 3}  # of what is not shown in full


@dataclass(slots=True)
class Branch:
    """A task with all that it began, in order of beginning."""

    node: Node
    children: list[Branch] = field(default_factory=list)

    def __iter__(self) -> Iterator[Branch]:
        """It and all below, parents first."""
        yield self
        for child in self.children:
            yield from child

    @property
    def cost(self) -> float:
        """USD, of all of it, as far as prices are known."""
        return sum(one.node.cost or 0.0 for one in self)

    @property
    def path(self) -> str:
        """Of the asyncio task in which its flow began it: ``""``, ``"0."``, ``"0.2."``."""
        return self.node.name.rpartition(f"{self.node.type}(")[0]

    def seconds(self, now: float) -> float | None:
        """From its first try to its end, or until now; None before that."""
        begun = self.node.started_at
        return None if begun is None else max(0.0, (self.node.settled_at or now) - begun)

    def shown(self, most: int = MOST) -> tuple[list[Branch], Counter[State]]:
        """The children that are worth showing, what runs first, and the states of those that are left out."""
        if len(self.children) <= most:
            return self.children, Counter()
        ranked = sorted(self.children, key=lambda one: FIRST.get(one.node.state, 4))  # stable
        return ranked[:most], Counter(one.node.state for one in ranked[most:])

    def as_json(self, now: float, most: int = MOST) -> dict[str, Any]:
        node, (children, more) = self.node, self.shown(most)
        seconds = self.seconds(now)
        return {
            "task": node.task_id,
            "name": node.name,
            "type": node.type,
            "flow": node.is_flow,
            "state": node.state.value,
            "wait_reason": node.wait_reason,
            "model": None if node.is_flow or not node.model else node.model,
            "submitted_at": node.submitted_at,
            "started_at": node.started_at,
            "settled_at": node.settled_at,
            "seconds": None if seconds is None else round(seconds, 4),
            "cost_usd": round(self.cost, 8),
            "orphaned": node.orphaned,
            "children": [child.as_json(now, most) for child in children],
            "more_children": {state.value: n for state, n in more.items()},
        }


def grown(nodes: Iterable[Node]) -> list[Branch]:
    """The trees of these nodes; parents come before their children."""
    known: dict[int, Branch] = {}
    roots: list[Branch] = []
    for node in nodes:
        branch = known[node.task_id] = Branch(node)
        if node.parent is not None and (parent := known.get(node.parent)) is not None:
            parent.children.append(branch)
        else:
            roots.append(branch)
    return roots


@dataclass(slots=True)
class Begun:
    """A child, and what had come in before it was begun: what ended, and what was said from outside."""

    child: Branch
    after: Sequence[Branch]
    told: Sequence[Event]


def flow_json(flow: Branch, past: History, now: float, *, hide: bool) -> dict[str, Any]:
    """What ``explain`` says of a flow."""

    def begun(step: int) -> list[str]:
        return [child.node.name for child in flow.children if child.node.step == step]

    return {
        "steps": [
            {
                "number": one.number,
                "at": one.at,
                "heard": list(one.heard),
                "events": one.events,
                "began": begun(one.number),
            }
            for one in past.steps
        ],
        "events": [
            {"name": one.name, "at": one.at, "data": None if hide else orjson.loads(one.content)} for one in past.events
        ],
        "orphans": [child.node.name for child in flow.children if child.node.orphaned],
        "tree": flow.as_json(now),
    }


def dependencies(flow: Branch, past: History) -> list[Begun]:
    """What each child of a flow may depend on: what the flow had heard when it began it, and had begun nothing after;
    of that, what was begun in the same place of its code, where there is such. It is read from the record, not from
    the code: that something came before does not prove that it was used."""
    by_name = {child.node.name: child for child in flow.children}
    by_step: dict[int | None, list[Branch]] = {}
    for child in flow.children:
        by_step.setdefault(child.node.step, []).append(child)
    heard: dict[str, Branch] = {}  # with nothing begun after them so far
    found: list[Begun] = []
    events = 0
    for step in past.steps:
        now = {name: by_name[name] for name in step.heard if name in by_name}
        heard.update(now)
        told, events = past.events[events : step.events], step.events
        used: set[str] = set()
        for child in by_step.pop(step.number, ()):
            near = [name for name, one in heard.items() if _related(one.path, child.path)] or list(now)
            found.append(Begun(child, [by_name[name] for name in near], told))
            used.update(near)
        for name in used:
            heard.pop(name, None)
    found += [Begun(child, (), ()) for left in by_step.values() for child in left]
    return found


def _related(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
