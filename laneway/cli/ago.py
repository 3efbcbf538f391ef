"""Times as people say them."""

from __future__ import annotations

import time


def ago(then: float, now: float) -> str:
    return f"{_span(now - then)} ago"


def ahead(then: float, now: float) -> str:
    """``in 12 s``, or the hour when it is further off."""
    if then - now < 120:
        return f"in {_span(then - now)}"
    when = time.localtime(then)
    return time.strftime("at %H:%M" if then - now < 20 * 3600 else "on %Y-%m-%d at %H:%M", when)


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
