"""Who goes next. Pure policy: heads of queue cells in, picks out.

Strict order of urgency with a floor for the classes below; within a class the lanes take turns by weight; within a lane
the earliest due goes first, whichever model it waits for. A task past its due time counts one class higher, never as
``immediate``. A cell whose model has no account that admits now is passed over: it blocks nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from laneway.dispatch.desk import Admission, Blocked
from laneway.dispatch.limits import Size
from laneway.store.interface import Head
from laneway.task import Urgency

FLOOR = 0.05  # of the starts, for classes below one that could take them all
Admit = Callable[[str, Size, float], Admission | Blocked | None]  # (model, size, now); None: needs no account
Measure = Callable[[str, int, int], Size]  # (model, input tokens, output tokens)


@dataclass(slots=True)
class Plan:
    """What to claim, and what to wait for."""

    picks: dict[int, list[Admission | None]] = field(default_factory=dict)  # by cell, in the order of claiming
    models: dict[int, str] = field(default_factory=dict)  # of the picked cells
    wait_until: float | None = None  # when the next blocked cell may be asked again
    size: int = 0  # how many in all
    blocked: dict[int, Blocked] = field(default_factory=dict)  # why a cell with ready tasks gives no more


class _Cell:
    """A head being consumed."""

    __slots__ = ("head", "next")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.next = 0

    @property
    def due_at(self) -> float:
        return self.head.sizes[self.next][0]

    @property
    def exhausted(self) -> bool:
        return self.next >= len(self.head.sizes)

    def rank(self, now: float) -> int:
        """The class this cell's next task counts in."""
        urgency = self.head.urgency
        if urgency > Urgency.URGENT and self.due_at < now:
            return urgency - 1
        return int(urgency)


class Order:
    """Keeps the turns between calls of ``plan``."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = dict(weights or {})
        self._passes: defaultdict[str, float] = defaultdict(float)  # stride scheduling: least goes next
        self._virtual = 0.0  # the pass of the lane that was served last
        self._active: set[str] = set()
        self._credit = 0.0  # starts that the lower classes have coming

    def plan(
        self,
        heads: list[Head],
        slots: int,
        lane_slots: Callable[[str], int | None],
        admit: Admit,
        measure: Measure,
        now: float,
    ) -> Plan:
        """Up to ``slots`` starts. ``lane_slots``: free slots of a lane, None where unbounded. Every admission in the
        plan is taken from its account; the caller claims for it or releases it."""
        plan = Plan()
        lanes: dict[str, int | None] = {head.lane: lane_slots(head.lane) for head in heads}
        cells = [_Cell(head) for head in heads]
        self._join(lanes)
        while cells and plan.size < slots:
            cell = self._next(cells, now)
            lane = cell.head.lane
            free = lanes[lane]
            if free is not None and free <= 0:
                cells = self._without(
                    cells, plan, Blocked(None, f"lane {lane}"), [c for c in cells if c.head.lane == lane]
                )
                continue
            _, input_tokens, output_tokens = cell.head.sizes[cell.next]
            admission = admit(cell.head.model, measure(cell.head.model, input_tokens, output_tokens), now)
            if isinstance(admission, Blocked):
                cells = self._without(cells, plan, admission, [cell])
                continue
            self._started(cell, cells, now)
            plan.picks.setdefault(cell.head.cell_id, []).append(admission)
            plan.models[cell.head.cell_id] = cell.head.model
            plan.size += 1
            if free is not None:
                lanes[lane] = free - 1
            cell.next += 1
            if cell.exhausted:
                cells.remove(cell)
        for blocked in plan.blocked.values():
            if blocked.until is not None and (plan.wait_until is None or blocked.until < plan.wait_until):
                plan.wait_until = blocked.until
        return plan

    def _next(self, cells: list[_Cell], now: float) -> _Cell:
        ranks = [cell.rank(now) for cell in cells]
        top = min(ranks)
        if self._credit >= 1.0 and (lower := [rank for rank in ranks if rank > top]):
            top = min(lower)
        lane = min(
            (self._passes[c.head.lane], c.head.lane) for c, rank in zip(cells, ranks, strict=True) if rank == top
        )
        candidates = [
            cell for cell, rank in zip(cells, ranks, strict=True) if rank == top and cell.head.lane == lane[1]
        ]
        return min(candidates, key=lambda cell: cell.due_at)

    def _started(self, cell: _Cell, cells: list[_Cell], now: float) -> None:
        rank = cell.rank(now)
        self._virtual = self._passes[cell.head.lane]
        self._passes[cell.head.lane] += 1.0 / self._weights.get(cell.head.lane, 1.0)
        if any(other.rank(now) < rank for other in cells):
            self._credit -= 1.0
        elif any(other.rank(now) > rank for other in cells):
            self._credit = min(1.0, self._credit + FLOOR)

    def _join(self, lanes: Collection[str]) -> None:
        """A lane that had nothing to do gets no turns for the time it was away."""
        for lane in lanes:
            if lane not in self._active:
                self._passes[lane] = max(self._passes[lane], self._virtual)
        self._active = set(lanes)

    @staticmethod
    def _without(cells: list[_Cell], plan: Plan, blocked: Blocked, out: list[_Cell]) -> list[_Cell]:
        for cell in out:
            plan.blocked[cell.head.cell_id] = blocked
        return [cell for cell in cells if cell not in out]
