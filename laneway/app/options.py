"""How one submission differs from the defaults."""

from __future__ import annotations

from collections.abc import Sequence


class Options:
    """The keywords of ``Laneway.submit`` that are not arguments of the task."""

    __slots__ = ("deadline", "delay", "key", "lane", "model", "tags", "team", "urgency")

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
    ) -> None:
        self.key, self.urgency, self.lane, self.model = key, urgency, lane, model
        self.deadline, self.delay, self.tags, self.team = deadline, delay, tuple(tags), team
