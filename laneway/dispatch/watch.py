"""What the loop was waiting for, for the summary of a run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from laneway.dispatch.order import Plan
from laneway.store.cells import Head


@dataclass(slots=True)
class Watch:
    """Seconds by the limit that held work back."""

    bound: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _since: float | None = None
    _by: str = ""

    @property
    def by(self) -> str:
        """What holds work back now, "" when nothing does."""
        return self._by

    def blocked(self, by: str, now: float) -> None:
        if self._since is not None and self._by:
            self.bound[self._by] += max(0.0, now - self._since)
        self._since, self._by = now, by

    def total(self, now: float) -> dict[str, float]:
        """Seconds by limit, up to now."""
        self.blocked("", now)
        return dict(self.bound)


def binding(heads: list[Head], plan: Plan) -> str:
    """What holds back the most urgent work that is held back ("" when nothing is)."""
    held = [head for head in heads if head.cell_id in plan.blocked]
    if not held:
        return ""
    first = min(held, key=lambda head: head.urgency)
    return plan.blocked[first.cell_id].by
