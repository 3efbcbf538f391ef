"""Workers that share limits, as bare numbers: the rule of ``laneway.store.grants`` over a table in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from laneway.store.grants import NOTHING, ByUrgency, Capacity, Demand, Others, Part, divide

LEASE = 10.0


@dataclass
class Row:
    calls: ByUrgency
    part: Part
    valid_until: float


@dataclass
class One:
    """A worker: what it could use, and what it goes by."""

    name: str
    calls: ByUrgency = NOTHING
    busy: int = 0  # calls in flight
    share: float = 0.0
    slots: int = 0
    valid_until: float = 0.0
    lacks: bool = False

    def goes_by(self, now: float) -> tuple[float, int]:
        """What it may still use: calls in flight have a slot whatever its grant says."""
        return (self.share, max(self.slots, self.busy)) if now < self.valid_until else (0.0, self.busy)


@dataclass
class Table:
    capacity: Capacity
    rows: dict[str, Row] = field(default_factory=dict)

    def others(self, worker: str, now: float) -> Others:
        rows = [row for name, row in self.rows.items() if name != worker and row.valid_until > now]
        parts = [row.part for row in rows]
        first, second, third, fourth = (sum(row.calls[urgency] for row in rows) for urgency in range(4))
        return Others(
            len(rows),
            (first, second, third, fourth),
            sum(part.reserved_share for part in parts),
            sum(part.reserved_slots for part in parts),
            sum(part.lacks_share for part in parts),
            sum(part.lacks_slots for part in parts),
        )

    def renew(self, one: One, now: float, *, arrives: bool = True) -> None:
        """``arrives``: whether the answer does."""
        held = one.goes_by(now)
        part = divide(self.capacity, Demand(one.calls, *held), self.others(one.name, now), one.name, now)
        self.rows[one.name] = Row(one.calls, part, now + LEASE)
        if arrives:
            one.share, one.slots, one.lacks = part.share, part.slots or 0, part.lacks
            one.valid_until = now + LEASE

    def renew_all(self, one: One, now: float) -> None:
        """As a worker does: what it has just let go of is told at once."""
        before = one.goes_by(now)
        self.renew(one, now)
        if one.share < before[0] or one.slots < before[1]:
            self.renew(one, now)
