"""Which tasks a command is about: ids and keys, ``run 3``, and ``--where name=value,…``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from laneway.app.steering import run_number
from laneway.errors import UsageError
from laneway.store.steering import Selector
from laneway.task import FailureClass, State

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

FIELDS = {
    "state": "states",
    "class": "classes",
    "code": "codes",
    "type": "types",
    "model": "models",
    "lane": "lanes",
    "urgency": "urgencies",
    "tag": "tags",
    "key": "keys",
}
SYNTAX = "--where class=transient,code=rate_limit_exceeded; names: " + ", ".join((*FIELDS, "run"))


async def choose(lw: Laneway, words: Sequence[str], run: int | None, where: Iterable[str]) -> Selector:
    """The tasks that a command names. A bare word is a task's id or key; ``run 3`` or ``run:3`` all of a run.

    Raises UsageError when nothing is named or a condition makes no sense, NotFoundError for a task or run that is not
    there."""
    runs = [] if run is None else [run]
    refs: list[str] = []
    given = iter(words)
    for word in given:
        kind, colon, number = word.partition(":")
        if kind == "run" and (not colon or number.isdecimal()):
            runs.append(run_number(number if colon else next(given, "")))
        else:
            refs.append(word)
    selector = parse_where(lw, where)
    if selector.run_id is not None:
        runs.append(selector.run_id)
    if len(set(runs)) > 1:
        raise UsageError("one run at a time", hint="give the command once for each")
    if runs:
        await lw.store.get_run(runs[0])
        selector = selector._replace(run_id=runs[0])
    if refs:
        ids = [(await lw.store.find_task(ref, selector.run_id)).id for ref in refs]
        selector = selector._replace(ids=tuple(ids))
    if selector == Selector():
        raise UsageError("which tasks?", hint=f"give their ids or keys, a run (run 3), or {SYNTAX}")
    return selector


def parse_where(lw: Laneway, conditions: Iterable[str]) -> Selector:
    """``class=transient,code=429|529``: all must hold, of values between bars any. Raises UsageError."""
    found: dict[str, list[Any]] = {}
    run_id: int | None = None
    for name, value in _pairs(conditions):
        if name == "run":
            run_id = run_number(value)
        elif name in FIELDS:
            found.setdefault(FIELDS[name], []).extend(_value(lw, name, one) for one in value.split("|"))
        else:
            raise UsageError(f"tasks cannot be chosen by {name!r}", hint=SYNTAX)
    chosen: dict[str, Any] = {name: tuple(values) for name, values in found.items()}
    return Selector(run_id=run_id, **chosen)


def _pairs(conditions: Iterable[str]) -> Iterator[tuple[str, str]]:
    for condition in conditions:
        for pair in re.split(r",(?=\w+=)", condition):  # a key may hold commas
            name, equals, value = pair.partition("=")
            if not equals or not value:
                raise UsageError(f"{pair!r} is no condition", hint=SYNTAX)
            yield name.strip(), value.strip()


def _value(lw: Laneway, name: str, value: str) -> Any:
    words = {"state": State, "class": FailureClass}
    try:
        if name == "urgency":
            return lw.config.urgency_of(value)
        if name == "state":
            return State(value)
        return FailureClass(value).value if name == "class" else value
    except ValueError as error:
        hint = ", ".join(words[name]) if name in words else str(error)
        raise UsageError(f"there is no {name} {value!r}", hint=f"one of {hint}" if name in words else hint) from None
