"""Flows for people: trees with states, waits, times and costs; steps and events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from laneway.cli.common import printable
from laneway.task import State, WaitReason

if TYPE_CHECKING:
    from laneway.app.flows.trees import Branch
    from laneway.store.flows import History

LINES = 200  # of all trees together
STEPS = 20  # the newest that are shown
PREVIEW = 300  # characters of an event's data
WAITS = {
    WaitReason.CHILDREN: "for what it began",
    WaitReason.EVENT: "for an event",
    WaitReason.SCHEDULED: "for a time",
    WaitReason.RETRY: "for another try",
    WaitReason.BUDGET: "for its type's budget",
}


def tree_lines(roots: Sequence[Branch], now: float, most: int = LINES, left_out: int = 0) -> list[str]:
    """At most so many lines, then how many flows are left out: these and ``left_out`` more."""
    lines: list[str] = []
    for shown, root in enumerate(roots):
        tree = list(_tree(root, now))
        if lines and len(lines) + len(tree) > most:
            left_out += len(roots) - shown
            break
        lines += tree if len(tree) <= most else [*tree[:most], "…"]
    return [*lines, f"… and {left_out:,} more flows"] if left_out else lines


def _tree(branch: Branch, now: float, head: str = "", tail: str = "") -> Iterator[str]:
    yield head + _line(branch, now)
    children, more = branch.shown()
    for at, child in enumerate(children, 1):
        last = at == len(children) and not more
        yield from _tree(child, now, tail + ("└─ " if last else "├─ "), tail + ("   " if last else "│  "))
    if more:
        states = ", ".join(f"{n:,} {state.value}" for state, n in more.items())
        yield f"{tail}└─ … and {sum(more.values()):,} more: {states}"


def _line(branch: Branch, now: float) -> str:
    from laneway.cli.report import duration, money

    node = branch.node
    named = f" {printable(node.name)}" if node.parent is None and node.name else ""
    state = node.state.value
    if node.state is State.WAITING:
        state += f" {WAITS.get(WaitReason(node.wait_reason or 'retry'), '')}"
    seconds = branch.seconds(now)
    if node.state.ended and seconds is not None:
        state += f" in {duration(seconds)}"
    elif seconds is not None:
        state += f", {duration(seconds)} so far"
    elif not node.state.ended:
        state += f", {duration(max(0.0, now - node.submitted_at))} in the queue"
    cost = f", {money(branch.cost)}" if branch.cost else ""
    orphaned = "; its flow has changed and does not begin it any more" if node.orphaned else ""
    return f"{printable(node.type)}{named} (task {node.task_id}): {state}{cost}{orphaned}"


def step_lines(flow: Branch, past: History) -> list[str]:
    """What each step heard and began."""
    types = {child.node.name: child.node.type for child in flow.children}
    lines = []
    known = 0
    first = past.steps[0].at if past.steps else 0.0
    for step in past.steps:
        begun = [child.node.type for child in flow.children if child.node.step == step.number]
        heard = [types.get(name, "a timer") for name in step.heard]
        heard += [f"event {event.name}" for event in past.events[known : step.events]]
        known = step.events
        said = [f"heard {_listed(heard)}"] if heard else []
        said += [f"began {_listed(begun)}"] if begun else []
        lines.append(f"  {step.number}. after {step.at - first:.2f} s: {', '.join(said) or 'went on'}")
    if flow.node.state.ended and flow.node.settled_at is not None and past.steps:
        lines.append(f"  {len(past.steps)}. after {flow.node.settled_at - first:.2f} s: {flow.node.state.value}")
    if len(lines) > STEPS:
        lines = [f"  … {len(lines) - STEPS:,} steps before", *lines[-STEPS:]]
    lines += [f"  not heard yet: event {printable(event.name)}" for event in past.events[known:]]
    return lines


def _listed(names: Sequence[str]) -> str:
    """``entities × 3, review``"""
    counts: dict[str, int] = {}
    for name in names:
        counts[printable(name)] = counts.get(printable(name), 0) + 1
    return ", ".join(name if n == 1 else f"{name} × {n:,}" for name, n in counts.items())


def flow_text(flow: Branch, past: History, now: float, *, hide: bool) -> str:
    lines = ["steps", *step_lines(flow, past)] if past.steps else ["steps: none yet"]
    lines += ["tree", *(f"  {line}" for line in tree_lines([flow], now))]
    if past.events:
        lines.append("events")
        for one in past.events:
            data = "[hidden]" if hide else printable(one.content.decode("utf-8", "replace"))[:PREVIEW]
            lines.append(f"  {printable(one.name)}: {data}")
    if orphans := [child for child in flow.children if child.node.orphaned]:
        lines.append(
            f"orphans: {len(orphans):,} tasks that it began before its function was changed, and does not any more"
        )
        lines += [f"  {printable(child.node.name)} (task {child.node.task_id})" for child in orphans[:20]]
    return "\n".join(lines) + "\n"
