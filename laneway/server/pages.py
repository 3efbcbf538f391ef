"""Lists a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from laneway.server.envelopes import Refusal

T = TypeVar("T")
LARGEST_PAGE = 1000


class Page(NamedTuple):
    ids: list[str]
    more: bool

    @property
    def ends(self) -> dict[str, str | bool | None]:
        """As both providers say it."""
        first, last = (self.ids[0], self.ids[-1]) if self.ids else (None, None)
        return {"first_id": first, "last_id": last, "has_more": self.more}


def page(
    items: Sequence[T], id_of: Callable[[T], str], limit: int, after: str | None = None, before: str | None = None
) -> tuple[list[T], Page]:
    """Up to ``limit`` of them behind ``after``, or the last ones before ``before``. Raises Refusal."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise Refusal(400, f"limit is {limit}; from 1 to {LARGEST_PAGE}", param="limit")
    ids = [id_of(item) for item in items]
    start, end = 0, len(items)
    if before is not None:
        end = _place(ids, before)
        start = max(0, end - limit)
        found, more = items[start:end], start > 0
    else:
        start = 0 if after is None else _place(ids, after) + 1
        found, more = items[start : start + limit], start + limit < end
    return list(found), Page([id_of(item) for item in found], more)


def _place(ids: Sequence[str], known: str) -> int:
    if known not in ids:
        raise Refusal(400, f"{known!r} is not in this list", param="after")
    return ids.index(known)
