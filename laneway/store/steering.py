"""What people say when they steer: pauses, a choice of tasks, and what to change about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from laneway.store.teams import ALL, OfTeam
from laneway.task import BY_HAND, Route, State, Urgency, WaitReason, Wire


class PauseKind(StrEnum):
    LANE = "lane"
    ACCOUNT = "account"
    RUN = "run"


class Pause(NamedTuple):
    """A lane, account or run that somebody paused or has paused before."""

    kind: PauseKind
    name: str  # of a run: its number
    since: float | None  # None: it was resumed
    resumes: int  # how often somebody resumed it

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Selector(NamedTuple):
    """Which tasks: every condition that is given must hold; of several values for one, any."""

    ids: tuple[int, ...] | None = None
    run_id: int | None = None
    states: tuple[State, ...] = ()
    classes: tuple[str, ...] = ()  # of the failure: "transient", "request", …
    codes: tuple[str, ...] = ()  # of the failure: "rate_limit_exceeded", …
    types: tuple[str, ...] = ()
    models: tuple[str, ...] = ()  # where they are queued or ended, fallbacks included
    lanes: tuple[str, ...] = ()
    urgencies: tuple[Urgency, ...] = ()
    tags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # with * and ? as in file names
    team: OfTeam = ALL  # whose run it is in


class Extent(NamedTuple):
    """What a selector finds, before anything is changed."""

    states: Mapping[State, int] = {}
    wires: Mapping[Wire, int] = {}
    longest: int = 0  # tokens of the longest request with its answer, estimated; of failed tasks it may be left out

    @property
    def tasks(self) -> int:
        return sum(self.states.values())


def extent_of(rows: Iterable[tuple[str, str, int, int]]) -> Extent:
    """Of (state, wire, tasks, tokens of the longest)."""
    states: dict[State, int] = {}
    wires: dict[Wire, int] = {}
    longest = 0
    for state, wire, n, tokens in rows:
        states[State(state)] = states.get(State(state), 0) + n
        wires[Wire(wire)] = wires.get(Wire(wire), 0) + n
        longest = max(longest, tokens)
    return Extent(states, wires, longest)


def is_glob(key: str) -> bool:
    return any(char in key for char in "*?[")


def literal(key: str) -> str:
    """The key itself where keys may be patterns."""
    return re.sub(r"([*?\[])", r"[\1]", key)


class Change(NamedTuple):
    """What is set by hand about tasks that have not ended. None: left as it is."""

    urgency: Urgency | None = None
    lane: str | None = None
    model: str | None = None
    deadline: float | None = None  # seconds since 1970
    target_waits: Mapping[Urgency, float] = {}  # seconds, as configured


class Waiting(NamedTuple):
    """Tasks that wait for one reason."""

    reason: WaitReason
    tasks: int
    next_at: float | None


def by_hand(route: Route, change: Change) -> Route:
    """The route with what was set by hand, and that said."""
    fields: dict[str, Any] = {}
    if change.urgency is not None:
        fields["urgency"] = change.urgency
    if change.lane is not None:
        fields["lane"] = change.lane
    if change.model is not None and route.model:
        fields["model"] = change.model
    reasons = {**route.reasons, **dict.fromkeys(fields, BY_HAND)}
    if "model" in fields:
        fields["fallbacks"] = tuple(name for name in route.fallbacks if name != change.model)
    return route._replace(**fields, reasons=reasons)


class Moved(NamedTuple):
    """Where a task that has not ended goes by hand."""

    route: Route  # model, lane and urgency of its cell from here on
    deadline: float | None
    due_at: float
    attempts: int
    next_model: str | None  # of its next try, while it runs


def moved(
    route: Route,
    change: Change,
    state: State,
    place: tuple[str, str, int],
    times: tuple[float, float | None, float],
    attempts: int,
) -> Moved:
    """``route``: the stored one, changed. ``place``: the cell's model, lane and urgency. ``times``: submitted at,
    deadline, due at. A running task keeps its present model until its next try."""
    model, lane, urgency = place
    submitted_at, deadline, due_at = times
    wanted = change.model if change.model is not None and model else None
    later = wanted is not None and state is State.RUNNING
    here = route._replace(
        model=model if wanted is None or later else wanted,
        lane=lane if change.lane is None else change.lane,
        urgency=Urgency(urgency) if change.urgency is None else change.urgency,
    )
    deadline = deadline if change.deadline is None else change.deadline
    if change.urgency is not None or change.deadline is not None:
        due_at = submitted_at + change.target_waits.get(here.urgency, 0.0)
        due_at = due_at if deadline is None else min(due_at, deadline)
    return Moved(here, deadline, due_at, 0 if wanted and not later else attempts, wanted if later else None)


def keeping_hands(stored: Route, new: Route) -> Route:
    """The new route of a task with what was set by hand on its stored one; only what the command pins goes before
    that."""
    kept = {
        name: getattr(stored, name)
        for name, reason in stored.reasons.items()
        if reason == BY_HAND and not new.reasons.get(name, "").startswith(("pinned by the command", "pinned by --"))
    }
    fallbacks = tuple(name for name in new.fallbacks if name != kept.get("model"))
    return new._replace(**kept, fallbacks=fallbacks, reasons={**new.reasons, **dict.fromkeys(kept, BY_HAND)})
