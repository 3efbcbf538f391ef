"""What failed, by kind; and trying again all that a filter finds, after a look at how many these are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from laneway.app.steering import Verb
from laneway.app.views.failures import FailureGroup, failures, tasks_of
from laneway.server.dashboard.filters import FIELDS, given, link, selector
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
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
KIND = ("class", "code", "type", "model", "lane", "run")  # what a kind of failure is known by
NARROWING = (*KIND, "urgency", "tag", "key")


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
    fields = {name: value for name, value in given(asked).items() if name in KIND}
    groups = await failures(asked.lw, selector(asked))
    return {
        "fields": fields,
        "classes": list(_classes(groups, fields.get("run"))),
        "tasks": tasks_of(groups),
        "sweeps": asked.bulk.seen_by(asked.caller)[:3],
        "retry_all": link("/failures/retry", fields),
        "may": asked.caller.operates,
        "link": link,
    }


def _classes(groups: Iterable[FailureGroup], run: str | None) -> Iterator[Class]:
    """The largest first."""
    by: dict[str, list[FailureGroup]] = {}
    for one in groups:
        by.setdefault(one.cls, []).append(one)
    for name, of_class in sorted(by.items(), key=lambda pair: -tasks_of(pair[1])):
        kinds = [_kind(one, run) for one in of_class[:ROWS]]
        more = len(of_class) - len(kinds)
        yield Class(name or NOT_KNOWN, MEANINGS.get(name, ""), tasks_of(of_class), kinds, more)


def _kind(one: FailureGroup, run: str | None) -> Kind:
    fields = {"class": one.cls, "code": one.code, "run": run}
    found = Counter[tuple[str, str, str]]()
    for where in one.where:  # of all runs together
        found[where.type, where.model, where.lane] += where.tasks
    places = [
        Place(*place, tasks, {**fields, **dict(zip(("type", "model", "lane"), place, strict=True))})
        for place, tasks in found.most_common(PLACES)
    ]
    return Kind(one.code, one.message, one.example, one.tasks, fields, places, len(found) - len(places))


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
    await asked.bulk.begin(asked.caller, Verb.RETRY, chosen, said)
    return "They are being queued again. You may leave this page."


FAILURES = Page("/failures", "Failures", "failures.html", figures)
RETRY = Page("/failures/retry", "Try again", "retry.html", retry_figures, (Deed("begin", retry),), under="/failures")
