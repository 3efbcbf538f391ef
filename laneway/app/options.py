"""How one submission differs from the defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from laneway.errors import UsageError


class Options:
    """The keywords of ``Laneway.submit`` that are not arguments of the task."""

    __slots__ = ("at", "deadline", "delay", "key", "lane", "model", "tags", "team", "urgency")

    def __init__(
        self,
        key: str | None = None,
        urgency: str | None = None,
        lane: str | None = None,
        model: str | None = None,
        deadline: float | None = None,
        delay: float | None = None,
        tags: Sequence[str] = (),
        team: str | None = None,
        at: float | datetime | None = None,
    ) -> None:
        if at is not None and delay is not None:
            raise UsageError("a task has either at= or delay=", hint="give one of them")
        self.key, self.urgency, self.lane, self.model = key, urgency, lane, model
        self.deadline, self.delay, self.tags, self.team = deadline, delay, tuple(tags), team
        self.at = at.timestamp() if isinstance(at, datetime) else at

    def wake_at(self, now: float) -> float | None:
        """When it may start, in seconds since 1970; None: at once."""
        when = self.at if self.delay is None else now + self.delay
        return None if when is None or when <= now else when


def of_each(options: Mapping[str, Any]) -> Options:
    """The same for many tasks at once. Raises UsageError for a key: it names one task."""
    if options.get("key") is not None:
        raise UsageError("key= names one task, and here are many", hint="submit each with a key of its own")
    return Options(**options)


def seconds(duration: float | str) -> float:
    """Raises UsageError."""
    from laneway.config.models import parse_duration

    try:
        return parse_duration(duration)
    except ValueError as error:
        raise UsageError(f"{error}", hint='write "1h", or seconds') from None
