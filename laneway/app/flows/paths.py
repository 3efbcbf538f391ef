"""Where the time of flows went: their critical paths, from the end back to the beginning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from laneway.app.flows.trees import Branch, grown

if TYPE_CHECKING:
    from laneway.store.interface import Store

SAMPLE = 200  # flows that are looked at: the newest that ended well


@dataclass(slots=True)
class OnPath:
    """Of one type, seconds a flow on the mean."""

    tasks: float = 0.0  # of a flow's, on its path
    queued_s: float = 0.0
    ran_s: float = 0.0  # from its first try to its end
    called_s: float = 0.0  # of that in calls of models; the rest waited for the account, or computed


@dataclass(slots=True)
class Paths:
    """Of so many flows, on the mean: seconds from the first step to the end, and what they are made of. ``own_s``: the
    flow's own steps, and its waiting for events and times."""

    flows: int = 0
    seconds: float = 0.0
    own_s: float = 0.0
    began_after_s: float = 0.0  # from the submission to the first step
    by_type: dict[str, OnPath] = field(default_factory=dict)

    @property
    def queued_s(self) -> float:
        return sum(one.queued_s for one in self.by_type.values())

    @property
    def held_s(self) -> float:
        """In queues, and of what called models the time beside its calls."""
        return self.queued_s + sum(one.ran_s - one.called_s for one in self.by_type.values() if one.called_s)

    def as_json(self) -> dict[str, Any]:
        return {
            "flows": self.flows,
            "seconds": round(self.seconds, 4),
            "own_s": round(self.own_s, 4),
            "queued_s": round(self.queued_s, 4),
            "began_after_s": round(self.began_after_s, 4),
            "by_type": {
                name: {
                    "tasks": round(one.tasks, 3),
                    "queued_s": round(one.queued_s, 4),
                    "ran_s": round(one.ran_s, 4),
                    "called_s": round(one.called_s, 4),
                }
                for name, one in self.by_type.items()
            },
        }


async def paths_of(store: Store, run_id: int) -> Paths | None:
    """None where the run has no flow that ended well."""
    ids = await store.flows(run_id, SAMPLE, ended=True)
    return mean_path(grown(await store.trees(ids))) if ids else None


def mean_path(flows: Sequence[Branch]) -> Paths | None:
    """Of flows that have ended."""
    paths = Paths()
    sums: defaultdict[str, OnPath] = defaultdict(OnPath)
    for flow in flows:
        begun, ended = flow.node.started_at, flow.node.settled_at
        if begun is None or ended is None:
            continue
        paths.flows += 1
        paths.seconds += ended - begun
        paths.began_after_s += max(0.0, begun - flow.node.submitted_at)
        paths.own_s += _walk(flow, begun, ended, sums)
    if not paths.flows:
        return None
    paths.seconds /= paths.flows
    paths.own_s /= paths.flows
    paths.began_after_s /= paths.flows
    for one in sums.values():
        sums_of = (one.tasks, one.queued_s, one.ran_s, one.called_s)
        one.tasks, one.queued_s, one.ran_s, one.called_s = (n / paths.flows for n in sums_of)
    paths.by_type = dict(sorted(sums.items(), key=lambda item: -item[1].ran_s - item[1].queued_s))
    return paths


def _walk(flow: Branch, begun: float, ended: float, sums: defaultdict[str, OnPath]) -> float:
    """From the end: the child that ended last, then what ended last before that one was begun, and so on. Returns the
    seconds that no child takes."""
    own, at = 0.0, ended
    for child in sorted(flow.children, key=lambda one: one.node.settled_at or 0.0, reverse=True):
        node = child.node
        if node.settled_at is None or node.started_at is None or node.settled_at > at or node.submitted_at < begun:
            continue
        own += at - node.settled_at
        one = sums[node.type]
        one.tasks += 1
        one.queued_s += max(0.0, node.started_at - node.submitted_at)
        if node.is_flow:
            one.ran_s += _walk(child, node.started_at, node.settled_at, sums)
        else:
            one.ran_s += node.settled_at - node.started_at
            one.called_s += min(node.called, node.settled_at - node.started_at)
        at = min(node.submitted_at, node.settled_at)
    return own + max(0.0, at - begun)
