"""Figures as people read them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import quote

NOTHING = "–"
_SPANS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))


def number(n: float | None) -> str:
    """``12,345``; large ones as ``1.2 M``."""
    if n is None:
        return NOTHING
    if abs(n) >= 10_000_000:
        return f"{n / 1_000_000:,.1f} M"
    return f"{n:,.0f}" if n == round(n) or abs(n) >= 100 else f"{n:,.1f}"


def money(usd: float | None) -> str:
    """``$12.30``; small amounts with three digits that say something."""
    if usd is None:
        return NOTHING
    if usd == 0 or abs(usd) >= 1:
        return f"${usd:,.2f}"
    if abs(usd) < 0.000001:
        return "<$0.000001"
    return f"${usd:.6f}".rstrip("0") if abs(usd) < 0.001 else f"${usd:.4f}"


def percent(share: float | None) -> str:
    if share is None:
        return NOTHING
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def span(seconds: float | None) -> str:
    """``340 ms``, ``4.2 s``, ``3 min``, ``2 h``, ``5 d``."""
    if seconds is None:
        return NOTHING
    if seconds < 0:
        return "0 s"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in _SPANS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def ago(then: float | None, now: float) -> str:
    if then is None:
        return NOTHING
    return "just now" if now - then < 2 else f"{span(now - then)} ago"


def ahead(then: float | None, now: float) -> str:
    if then is None:
        return NOTHING
    return "now" if then - now < 1 else f"in {span(then - now)}"


def clock(at: float) -> str:
    """The server's time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def iso(at: float) -> str:
    """For ``<time datetime>``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def plural(n: float, one: str, many: str = "") -> str:
    """``1 task``, ``2,000 tasks``."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def short_path(path: str, most: int = 48) -> str:
    """The end of it, which says most."""
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path
    return name if len(name) <= most else f"{name[: most - 1]}…"


def quoted(name: str) -> str:
    """In a URL."""
    return quote(name, safe="")


def capitalize_first(text: str) -> str:
    """Only the first letter: names keep theirs."""
    return text[:1].upper() + text[1:]
