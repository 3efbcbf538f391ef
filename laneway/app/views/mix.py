"""What triage decided about the newest tasks, and which of its steps did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from laneway.app.views.figures import Shown
from laneway.store.teams import ALL, OfTeam
from laneway.task import BY_HAND, Route, needs_account

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

LOOKED_AT = 2_000  # of the newest tasks
FIELDS = ("model", "lane", "urgency", "category", "complexity")
STEPS = {  # how a reason begins: which step gave it
    "pinned": "pinned",
    "rule": "rules",
    "learnt": "learnt",
    "classifier": "classifier",
    BY_HAND: "by hand",
    "the request asks": "the request",
}
DEFAULT = "defaults"


@dataclass(frozen=True, slots=True)
class Mix(Shown):
    """``tasks``: how many were looked at; each mapping from a label to tasks, the most frequent first. ``deciders``: by
    field, the steps of triage that filled it."""

    tasks: int
    urgencies: Mapping[str, int]
    categories: Mapping[str, int]
    complexities: Mapping[str, int]
    deciders: Mapping[str, Mapping[str, int]]


async def mix(lw: Laneway, team: OfTeam = ALL) -> Mix:
    found = await lw.store.newest_routes(LOOKED_AT, team=team)
    urgencies, categories, complexities = Counter[str](), Counter[str](), Counter[str]()
    deciders = {name: Counter[str]() for name in FIELDS}
    for route, n in found:
        urgencies[route.urgency.label] += n
        categories[route.category or ""] += n
        complexities[route.complexity or ""] += n
        for name, step in _deciders(route).items():
            deciders[name][step] += n
    del categories[""], complexities[""]
    return Mix(
        sum(one.tasks for one in found),
        dict(urgencies.most_common()),
        dict(categories.most_common()),
        dict(complexities.most_common()),
        {name: dict(steps.most_common()) for name, steps in deciders.items() if steps},
    )


def _deciders(route: Route) -> dict[str, str]:
    """By field that has a value, which step gave it. Reasons may hold words of texts: only how they begin is told."""
    found = {}
    for name in FIELDS:
        if getattr(route, name) in (None, "") or (name == "model" and not needs_account(route.model)):
            continue
        reason = route.reasons.get(name, "")
        found[name] = next((step for begin, step in STEPS.items() if reason.startswith(begin)), DEFAULT)
    return found
