"""What was changed through the service, and by whom."""

from __future__ import annotations

from laneway.server.caller import operator
from laneway.server.dashboard.filters import cursor_of, link
from laneway.server.dashboard.page import Asked, Figures, Page
from laneway.store.tokens import Deed

ROWS = 50
LONGEST, MOST = 150, 6  # characters of a detail, and details of a deed


async def figures(asked: Asked) -> Figures:
    """Raises Refusal for who may only submit."""
    await operator(asked.caller)
    cursor = cursor_of(asked)
    page = await asked.audit.page(asked.caller, cursor, ROWS)
    return {
        "deeds": page.deeds,
        "details": _details,
        "teams": asked.caller.sees_all and any(deed.team for deed in page.deeds),
        "older": None if page.next is None else link("/audit", {"cursor": page.next}),
        "first": None if cursor is None else "/audit",
    }


def _details(deed: Deed) -> list[tuple[str, str]]:
    return [(name[:60], _short(value)) for name, value in deed.detail.items() if value not in ("", None)][:MOST]


def _short(value: object) -> str:
    text = ", ".join(f"{name} {_short(one)}" for name, one in value.items()) if isinstance(value, dict) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


AUDIT = Page("/audit", "Audit", "audit.html", figures)
