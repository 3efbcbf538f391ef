"""Flows as graphs: what came after what, with states; as Mermaid flowcharts (https://mermaid.js.org)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from laneway.app.flows.trees import Branch, dependencies
from laneway.store.flows import History
from laneway.task import State

if TYPE_CHECKING:
    from laneway.store.flows import TypeCount

MOST = 60  # tasks that are drawn one by one; more of them are drawn together by type
CLASSES = {
    "succeeded": "fill:#d3f2d9,stroke:#2f8f46,color:#111",
    "running": "fill:#d6e6ff,stroke:#2b6cb0,color:#111",
    "waiting": "fill:#fff3cd,stroke:#b58105,color:#111",
    "ready": "fill:#f2f2f2,stroke:#888,color:#111",
    "failed": "fill:#ffd9d9,stroke:#c0392b,color:#111",
    "cancelled": "fill:#e5e5e5,stroke:#999,color:#666",
    "event": "fill:#efe3ff,stroke:#7b4bb7,color:#111",
}
RANK = ("failed", "running", "waiting", "ready", "succeeded", "cancelled")  # a group's state: the first that is there


@dataclass(slots=True)
class Vertex:
    id: str
    label: str
    is_flow: bool = False
    is_event: bool = False
    counts: Counter[State] = field(default_factory=Counter)
    inside: str | None = None  # the nested flow that it is part of
    seconds: float | None = None  # of one that is drawn by itself

    @property
    def state(self) -> str:
        if self.is_event:
            return "event"
        there = {"ready" if state is State.TRIAGING else state.value for state, n in self.counts.items() if n}
        return next((state for state in RANK if state in there), "ready")


@dataclass(slots=True)
class Graph:
    vertices: dict[str, Vertex] = field(default_factory=dict)
    edges: dict[tuple[str, str], None] = field(default_factory=dict)  # in order

    def join(self, origin: str, target: str) -> None:
        if origin != target:
            self.edges.setdefault((origin, target))

    def as_json(self) -> dict[str, Any]:
        return {
            "nodes": [
                {
                    "id": one.id,
                    "label": one.label,
                    "flow": one.is_flow,
                    "event": one.is_event,
                    "state": one.state,
                    "states": {state.value: n for state, n in one.counts.items() if n},
                    "inside": one.inside,
                    "seconds": None if one.seconds is None else round(one.seconds, 4),
                }
                for one in self.vertices.values()
            ],
            "edges": [{"from": origin, "to": target} for origin, target in self.edges],
            "mermaid": mermaid(self),
        }


def of_flow(root: Branch, past: Mapping[int, History], now: float, most: int = MOST) -> Graph:
    """The tree of one flow: its children in order, joins as several arrows into one; nested flows as boxes. Where it
    has more tasks than ``most``, those of one type in one flow are drawn as one."""
    graph = Graph()
    _draw(graph, root, f"t{root.node.task_id}", None, past, now, single=sum(1 for _ in root) <= most)
    return graph


def _draw(
    graph: Graph, flow: Branch, id_: str, inside: str | None, past: Mapping[int, History], now: float, *, single: bool
) -> None:
    _count(graph, flow, id_, inside, now, single=single)
    begun = dependencies(flow, past.get(flow.node.task_id, History())) if flow.children else []
    ids = {one.child.node.task_id: _id(one.child, id_, single=single) for one in begun}
    box = None if inside is None and flow.node.parent is None else id_
    for one in begun:
        child, target = one.child, ids[one.child.node.task_id]
        _draw(graph, child, target, box, past, now, single=single)
        for event in one.told:
            key = f"{id_}_event_{len(event.name)}_{_word(event.name)}"
            graph.vertices.setdefault(key, Vertex(key, event.name, is_event=True, inside=box))
            graph.join(key, target)
        for before in one.after:
            graph.join(ids[before.node.task_id], target)
        if not one.after and not one.told and box is None:
            graph.join(id_, target)


def _id(child: Branch, parent: str, *, single: bool) -> str:
    return f"t{child.node.task_id}" if single else f"{parent}_{_word(child.node.type)}"


def _count(graph: Graph, branch: Branch, id_: str, inside: str | None, now: float, *, single: bool) -> None:
    node = branch.node
    vertex = graph.vertices.setdefault(id_, Vertex(id_, node.type, node.is_flow, inside=inside))
    vertex.counts[node.state] += 1
    vertex.seconds = branch.seconds(now) if single else None


def of_run(counts: Sequence[TypeCount], flows: Sequence[Branch], past: Mapping[int, History]) -> Graph:
    """A run's flows by type, with how many tasks are in which state. ``flows``: some of them, which tell what comes
    after what."""
    graph = Graph()
    for one in counts:
        id_ = f"n_{_word(one.type)}"
        graph.vertices.setdefault(id_, Vertex(id_, one.type, one.is_flow)).counts[one.state] += one.tasks
    for flow in (branch for root in flows for branch in root if branch.children):
        own = f"n_{_word(flow.node.type)}"
        for begun in dependencies(flow, past.get(flow.node.task_id, History())):
            target = f"n_{_word(begun.child.node.type)}"
            for before in begun.after:
                graph.join(f"n_{_word(before.node.type)}", target)
            for event in begun.told:
                key = f"event_{_word(event.name)}"
                graph.vertices.setdefault(key, Vertex(key, event.name, is_event=True))
                graph.join(key, target)
            if not begun.after and not begun.told:
                graph.join(own, target)
    return graph


# Mermaid --------------------------------------------------------------------------------------------------------------
def mermaid(graph: Graph) -> str:
    lines = ["flowchart TD", *_lines(graph, None, "  ")]
    lines += [f"  {origin} --> {target}" for origin, target in graph.edges]
    used = {one.state for one in graph.vertices.values()}
    lines += [f"  classDef {name} {style}" for name, style in CLASSES.items() if name in used]
    boxes = _boxes(graph)
    lines += [f"  class {one.id} {one.state}" for one in graph.vertices.values() if one.id in boxes]
    return "\n".join(lines) + "\n"


def _boxes(graph: Graph) -> set[str]:
    return {one.inside for one in graph.vertices.values() if one.inside is not None}


def _lines(graph: Graph, inside: str | None, indent: str) -> Iterator[str]:
    boxes = _boxes(graph)
    for one in graph.vertices.values():
        if one.inside != inside:
            continue
        said = _label(one)
        if one.id in boxes:
            yield f'{indent}subgraph {one.id}["{said}"]'
            yield from _lines(graph, one.id, indent + "  ")
            yield f"{indent}end"
            continue
        left, right = ("([", "])") if one.is_flow else ("{{", "}}") if one.is_event else ("[", "]")
        yield f'{indent}{one.id}{left}"{said}"{right}:::{one.state}'


def _label(one: Vertex) -> str:
    name = _escaped(one.label)
    if one.is_event:
        return name
    total = sum(one.counts.values())
    if total == 1:
        took = "" if one.seconds is None else f" {one.seconds:.1f} s"
        return f"{name}<br/>{one.state}{took}"
    states = ", ".join(f"{n:,} {state.value}" for state, n in sorted(one.counts.items()) if n)
    return f"{name} × {total:,}<br/>{states}"


def _escaped(text: str) -> str:
    """Mermaid takes entities by name and number; nothing of a name may end its label or be markup."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return "".join(char if char.isalnum() or char in " _-./:×" else f"#{ord(char)};" for char in plain)


def _word(text: str) -> str:
    """A name as part of an id, different for different names."""
    return "".join(char if char.isascii() and char.isalnum() else f"_{ord(char):x}_" for char in text)
