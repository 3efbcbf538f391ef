"""What rate-limit headers say. Missing and absurd values are ignored; nothing here raises."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, get_args

from laneway.providers.model import LimitKind, Observed
from laneway.providers.presets import Dialect

LONGEST_RETRY_AFTER_S = 3600.0
_DAY = 86_400.0
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": _DAY}


class _Names(NamedTuple):
    """The headers that speak of one limit."""

    kind: LimitKind
    limit: str
    remaining: str
    reset: str


def _of_openai(kind: LimitKind) -> _Names:
    return _Names(kind, *(f"x-ratelimit-{part}-{kind}" for part in ("limit", "remaining", "reset")))


def _of_anthropic(kind: LimitKind) -> _Names:
    prefix = f"anthropic-ratelimit-{kind.replace('_', '-')}"
    return _Names(kind, *(f"{prefix}-{part}" for part in ("limit", "remaining", "reset")))


_OPENAI = (_of_openai("requests"), _of_openai("tokens"))
_ANTHROPIC = tuple(_of_anthropic(kind) for kind in get_args(LimitKind))


def observe(dialect: Dialect, headers: Mapping[str, str], now: float) -> tuple[Observed, ...]:
    """The limits that a reply's headers speak of. ``headers``: case-insensitive; ``now``: seconds since 1970."""
    found = []
    if dialect is Dialect.ANTHROPIC:
        for names in _ANTHROPIC:
            if seen := _one(headers, names, now):
                found.append(_rounded(seen))
    else:
        for names in _OPENAI:
            if seen := _one(headers, names, now):
                daily = names.kind == "requests" and (dialect is Dialect.GROQ or _of_a_day(seen))
                found.append(seen._replace(window=_DAY) if daily else seen)
    return tuple(found)


def _rounded(seen: Observed) -> Observed:
    """Anthropic rounds the tokens that remain to the nearest thousand ("Rate limits", response headers)."""
    if seen.kind == "requests" or seen.remaining is None or seen.remaining % 1000:
        return seen
    return seen._replace(slack=500.0)


def _of_a_day(seen: Observed) -> bool:
    """OpenAI speaks of requests per day where that limit is the tighter one: of 200 a day, one that was used is back
    after 7m12s. A limit of a minute would be full again by then."""
    if seen.limit is None or seen.remaining is None or not seen.reset or seen.remaining >= seen.limit:
        return False
    return _DAY / 2 <= seen.reset * seen.limit / (seen.limit - seen.remaining) <= _DAY * 1.5


def _one(headers: Mapping[str, str], names: _Names, now: float) -> Observed | None:
    amount, left = _number(headers.get(names.limit)), _number(headers.get(names.remaining))
    if amount is not None and amount <= 0:
        amount = None
    if amount is None and left is None:
        return None
    if amount is not None and left is not None and left > amount:
        left = None
    return Observed(names.kind, amount, left, _reset(headers.get(names.reset), now))


def _number(text: str | None) -> float | None:
    """A sane, not negative number, else None (Azure may say -1)."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value < 1e12 else None


def _reset(text: str | None, now: float) -> float | None:
    """Seconds from a duration (``6m0s``, ``120ms``), a number of seconds, or an RFC 3339 time."""
    if not text:
        return None
    if text[-1].isdigit() and (plain := _number(text)) is not None:  # not by an exception where it ends in its unit
        return plain
    if (parts := _DURATION.findall(text)) and "".join(n + unit for n, unit in parts) == text:
        return sum(float(n) * _UNITS[unit] for n, unit in parts)
    try:
        return max(0.0, datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait at least, by ``retry-after-ms`` or ``retry-after`` (seconds or a date; RFC 9110, 10.2.3)."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return min(ms / 1000, LONGEST_RETRY_AFTER_S)
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is None:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_S)
