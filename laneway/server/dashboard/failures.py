"""What failed, by kind; and trying again all that a filter finds, after a look at how many these are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from laneway.app.steering import Verb
from laneway.server.dashboard.filters import FIELDS, given, link, selector
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.store.views import FailureCount
from laneway.task import FailureClass, State

ROWS = 50  # codes of a class
PLACES = 20  # of a code
NOT_KNOWN = "not known"
MEANINGS = {
    "": "of a version before, not looked at yet",
    FailureClass.TRANSIENT: "worth another try: overloads, refusals for limits, timeouts, broken connections",
    FailureClass.ACCOUNT: "a key or its credit: mend the account, then try again",
    FailureClass.REQUEST: "the model will not take these requests as they are: another model may",
    FailureClass.OUTPUT: "an answer came, but not what was asked for",
    FailureClass.POISON: "workers died of them",
    FailureClass.CODE: "the app's own code raised an error",
}
K = TypeVar("K", bound=Hashable)
NARROWING = ("class", "code", "type", "model", "lane", "run", "urgency", "tag", "key")


class Kind(NamedTuple):
    """Failures of one class and code; ``fields``: the filter that finds them."""

    code: str
    message: str
    example: int
    tasks: int
    fields: Mapping[str, object]
    places: list[Place]  # where they happened, the most frequent first
    more: int  # places that are left out


class Place(NamedTuple):
    type: str
    model: str
    lane: str
    tasks: int
    fields: Mapping[str, object]


class Class(NamedTuple):
    name: str
    meaning: str
    tasks: int
    kinds: list[Kind]
    more: int  # kinds that are left out


async def figures(asked: Asked) -> Figures:
    fields = {name: value for name, value in given(asked).items() if name in NARROWING}
    run = selector(asked).run_id
    groups = [
        one
        for one in await asked.lw.store.failure_groups(run_id=run, team=asked.team)
        if all(fields.get(name, said) == said for name, said in _facts(one).items())
    ]
    return {
        "fields": fields,
        "classes": list(_classes(groups, fields.get("run"))),
        "tasks": _tasks(groups),
        "sweeps": asked.bulk.seen_by(asked.caller)[:3],
        "retry_all": link("/failures/retry", fields),
        "may": asked.caller.operates,
        "link": link,
    }


def _facts(one: FailureCount) -> dict[str, str]:
    return {"class": one.cls, "code": one.code, "type": one.type, "model": one.model, "lane": one.lane}


def _classes(groups: Sequence[FailureCount], run: str | None) -> Iterator[Class]:
    """The largest first; of runs together."""
    for name, of_class in _by(groups, lambda one: one.cls):
        kinds = [_kind(code, of_code, run) for code, of_code in _by(of_class, lambda one: one.code)]
        more = max(0, len(kinds) - ROWS)
        yield Class(name or NOT_KNOWN, MEANINGS.get(name, ""), _tasks(of_class), kinds[:ROWS], more)


def _kind(code: str, groups: Sequence[FailureCount], run: str | None) -> Kind:
    one = groups[0]
    fields = {"class": one.cls, "code": code, "run": run}
    found = _by(groups, lambda one: (one.type, one.model, one.lane))
    places = [
        Place(*place, _tasks(of_place), {**fields, **dict(zip(("type", "model", "lane"), place, strict=True))})
        for place, of_place in found[:PLACES]
    ]
    return Kind(code, one.message, one.example, _tasks(groups), fields, places, len(found) - len(places))


def _by(groups: Sequence[FailureCount], what: Callable[[FailureCount], K]) -> list[tuple[K, list[FailureCount]]]:
    """Those with most tasks first, and among them, too."""
    found: dict[K, list[FailureCount]] = {}
    for one in groups:
        found.setdefault(what(one), []).append(one)
    for of_one in found.values():
        of_one.sort(key=lambda one: -one.tasks)
    return sorted(found.items(), key=lambda pair: -_tasks(pair[1]))


def _tasks(groups: Iterable[FailureCount]) -> int:
    return sum(one.tasks for one in groups)


async def retry_figures(asked: Asked) -> Figures:
    fields = {name: value for name, value in given(asked).items() if name in NARROWING}
    counts = await asked.lw.store.count_tasks(selector(asked, state=State.FAILED.value))
    return {
        "fields": fields,
        "narrowing": NARROWING,
        "found": counts.get(State.FAILED, 0),
        "sweeps": asked.bulk.seen_by(asked.caller)[:3],
        "may": asked.caller.operates,
        "tasks": link("/tasks", {**fields, "state": "failed"}),
        "back": link("/failures", fields),
    }


async def retry(asked: Asked) -> str:
    """Beside the request: there may be very many."""
    chosen = selector(asked, state=State.FAILED.value)
    said = ", ".join(f"{name} {value}" for name, value in given(asked).items() if name in FIELDS) or "all that failed"
    asked.bulk.begin(asked.caller, Verb.RETRY, chosen, said)
    return "They are being queued again. You may leave this page."


FAILURES = Page("/failures", "Failures", "failures.html", figures)
RETRY = Page("/failures/retry", "Try again", "retry.html", retry_figures, (Deed("begin", retry),), under="/failures")
