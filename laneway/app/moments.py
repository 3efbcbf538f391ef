"""Points in time as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from laneway.config.models import parse_duration
from laneway.errors import UsageError


def moment(text: str, now: float) -> float:
    """Seconds since 1970 from ``18:30`` (the next one), ``2026-12-01 18:30`` (local time unless it names a zone),
    ``10m`` (from now) or the number itself. Raises UsageError."""
    text = text.strip()
    if re.fullmatch(r"\d{9,}(\.\d+)?", text):
        return float(text)
    here = datetime.fromtimestamp(now).astimezone()
    if match := re.fullmatch(r"(\d{1,2}):(\d{2})", text):
        hour, minute = int(match[1]), int(match[2])
        if hour < 24 and minute < 60:
            when = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (when if when > here else when + timedelta(days=1)).timestamp()
    try:
        return now + parse_duration(text) if re.search("[a-z]$", text) else datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UsageError(
            f"{text!r} is no time", hint='write 18:30, "2026-12-01 18:30", 2026-12-01T18:30:00Z, or 10m for ten minutes'
        ) from None
