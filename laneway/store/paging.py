"""How both stores find the tasks of one page of a list, and which of their books can tell how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from laneway.store.steering import Selector, is_glob
from laneway.store.views import LOOKED_AT
from laneway.task import State

SORTED = 50_000  # tasks of an index that are put in order for a page
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


def of_failures(s: Selector) -> bool:
    """Whether it is about failed tasks only: then kinds of failures tell which."""
    return s.states == (State.FAILED,) and s.ids is None


def by_kind_alone(s: Selector) -> bool:
    """Whether the kind of a failed task says all that is asked."""
    return of_failures(s) and not (s.tags or s.keys or s.urgencies)


def by_counters(s: Selector) -> bool:
    """Whether the counters of cells say all that is asked."""
    return s.ids is None and not (s.classes or s.codes or s.types or s.tags or s.keys)


def plain_keys(s: Selector) -> bool:
    return bool(s.keys) and not any(map(is_glob, s.keys))
