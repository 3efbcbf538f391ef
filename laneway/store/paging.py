"""How both stores find the tasks of one page of a list, and which of their books can tell how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from laneway.store.steering import Selector, is_glob
from laneway.store.views import LOOKED_AT
from laneway.task import State

SORTED = 50_000  # tasks of an index that are put in order for a page
NEAR = 5_000  # tasks that are looked at before an index of many is put in order
FIRST_LOOK = 4  # times as many as are wanted; more each time it was not enough
Ids = Callable[[int | None, int], list[int]]  # (below, how many): the highest of them, in order
Look = Callable[[Sequence[int]], Iterable[int]]  # those of them that are meant


def found_below(ids: Ids, look: Look, cursor: int | None, limit: int) -> tuple[list[int], int | None]:
    """The ids for one page, and the cursor of the next. Looks a little further each time."""
    found: list[int] = []
    seen, size = 0, FIRST_LOOK * limit
    while seen < LOOKED_AT:
        size = min(size, LOOKED_AT - seen)
        candidates = ids(cursor, size)
        found += sorted(look(candidates), reverse=True) if candidates else []
        over = len(candidates) < size
        if len(found) >= limit:
            return found[:limit], None if over and len(found) == limit else found[limit - 1]
        if over:
            return found, None
        seen, size, cursor = seen + size, size * 4, candidates[-1]
    return found, cursor


def once(ids: Ids) -> Ids:
    """What is put in order is read whole each time: so all that a page may look at, where one look is too short."""
    known: list[int] | None = None
    looked = False

    def some(below: int | None, n: int) -> list[int]:
        nonlocal known, looked
        if not looked:
            looked = True
            return ids(below, n)
        if known is None:
            known = ids(below, LOOKED_AT)
        return [id_ for id_ in known if below is None or id_ < below][:n]

    return some


def either(near: Ids, all_: Ids) -> Ids:
    """``near`` looks only a little way down, and is enough where it finds as many as are wanted."""

    def ids(below: int | None, n: int) -> list[int]:
        found = near(below, n)
        return found if len(found) == n else all_(below, n)

    return ids


def of_failures(s: Selector) -> bool:
    """Whether it is about failed tasks only: then kinds of failures tell which."""
    return s.states == (State.FAILED,) and s.ids is None


def by_kind_alone(s: Selector) -> bool:
    """Whether the kind of a failed task says all that is asked."""
    return of_failures(s) and not (s.tags or s.keys or s.urgencies)


def by_counters(s: Selector) -> bool:
    """Whether the counters of cells say all that is asked."""
    return s.ids is None and not (s.classes or s.codes or s.types or s.tags or s.keys)


def of_any_kind(s: Selector) -> bool:
    """Whether failed tasks of all kinds are meant."""
    return s._replace(states=(), tags=(), keys=(), urgencies=()) == Selector()


def plain_keys(s: Selector) -> bool:
    return bool(s.keys) and not any(map(is_glob, s.keys))
