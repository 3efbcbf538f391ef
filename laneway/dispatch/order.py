"""Who goes next. Pure policy: heads of queue cells in, picks out. The rules and their reasons: design/urgency.md.

A *queue* is what waits for one model in one lane with one urgency, of all runs, the earliest due first. Queues whose
models share accounts make a pool, and have their turns there; so what one account has to do takes nothing from another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

from laneway.dispatch.desk import Admission, Blocked
from laneway.dispatch.limits import Size
from laneway.dispatch.turns import Turns
from laneway.store.cells import Head
from laneway.task import Urgency, is_flow, needs_account

Admit = Callable[[str, Size, float], Admission | Blocked | None]  # (model, size, now); None: needs no account
Measure = Callable[[str, int, int], Size]  # (model, input tokens, output tokens)


RISES_AT = 0.5  # of its target wait: then a task that has not started is looked at again
NO_SLOT = Blocked(None, "slots")
NO_SIZE = Size(0, 0, 0)  # of a Python task
OF_LANE = "lane "
Key = tuple[str, str, Urgency]  # (model, lane, urgency)


class Place(NamedTuple):
    """What a model's calls draw on."""

    accounts: str  # its own accounts
    pool: str  # those and all that are connected with them through other models


@dataclass(slots=True)
class Plan:
    """What to claim, and what to wait for."""

    picks: dict[int, list[Admission | None]] = field(default_factory=dict)  # by cell, in the order of claiming
    models: dict[int, str] = field(default_factory=dict)  # of the picked cells
    wait_until: float | None = None  # when the next blocked cell may be asked again
    size: int = 0  # how many in all
    blocked: dict[int, Blocked] = field(default_factory=dict)  # why a cell with ready tasks gives no more
    calls: dict[Key, list[Admission]] = field(default_factory=dict)  # of running tasks, in their order
    calls_blocked: dict[Key, Blocked] = field(default_factory=dict)
    cut: int | None = None  # a cell with more than was looked at: who comes next is not known, look deeper at once


class Queue:
    """The ready tasks of one model, lane and urgency, being planned; or the calls that ``running`` ones would make."""

    __slots__ = ("_early", "_heap", "_last", "due_at", "key", "lane", "level", "model", "running", "share", "urgency")

    def __init__(
        self, heads: Sequence[Head], share: str, now: float, *, running: bool, most: int | None, early: float = 0.0
    ) -> None:
        """``early``: seconds before it is due from which a task rises."""
        first = heads[0]
        self._early = early
        self.model, self.lane, self.urgency = first.model, first.lane, first.urgency
        self.running = running
        self.key: Key = (first.model, first.lane, first.urgency)
        self.share = (share, first.lane)  # who takes turns: a lane, for the models of the same accounts
        self._heap = [(head.sizes[0][0], head.cell_id, 0, head) for head in heads]
        self._last = max(entry[:2] for entry in self._heap) if len(heads) == most else None
        heapify(self._heap)
        self._look(now)

    def _look(self, now: float) -> None:
        self.due_at = self._heap[0][0]
        rises_at = rises(self.due_at, self.urgency, self._early)
        self.level = 2 * self.urgency - (rises_at is not None and rises_at < now)

    @property
    def head(self) -> Head:
        return self._heap[0][3]

    @property
    def size(self) -> tuple[int, int]:
        """Input and output tokens of the next task."""
        _, _, at, head = self._heap[0]
        return head.sizes[at][1:]

    def __bool__(self) -> bool:
        return bool(self._heap)

    def advance(self, now: float) -> bool:
        """Go on to the next task. False when it is not known: the cell has more than was looked at, or one that was not
        looked at may be due before."""
        _, cell_id, at, head = self._heap[0]
        at += 1
        if at < len(head.sizes):
            heapreplace(self._heap, (head.sizes[at][0], cell_id, at, head))
        else:
            heappop(self._heap)
            if head.ready > at:
                return False
        if self._heap:
            self._look(now)
        return self._last is None or (bool(self._heap) and self._heap[0][:2] <= self._last)

    def left(self) -> Iterable[int]:
        """The cells that have given not all that was seen of them."""
        return (entry[1] for entry in self._heap)


def rises(due_at: float, urgency: Urgency, early: float) -> float | None:
    """When a task that has not started goes up by one class, ``early`` seconds before it is due: at half its target
    wait. Once, and never to immediate."""
    return due_at - early if urgency > Urgency.URGENT else None


class Order:
    """Keeps the turns between calls of ``plan``."""

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        place: Callable[[str], Place] = lambda model: Place("", ""),
        rise_before: Mapping[Urgency, float] | None = None,
    ) -> None:
        """``rise_before``: by urgency, seconds before it is due from which a task rises; 0 where it is not told."""
        self._rise_before = rise_before or {}
        self._weights = dict(weights or {})
        self._place = place
        self._pools: defaultdict[str, Turns] = defaultdict(lambda: Turns(self._weights))
        self._all = Turns(self._weights)  # between pools: counts where this worker's own slots are the bound

    def weigh(self, weights: Mapping[str, float]) -> None:
        """The lanes' weights from here on."""
        self._weights.clear()  # all turns look at this one
        self._weights.update(weights)

    def plan(
        self,
        heads: Sequence[Head],
        slots: int,
        lane_slots: Callable[[str], int | None],
        admit: Admit,
        measure: Measure,
        now: float,
        calls: Sequence[Head] = (),
        most: int | None = None,
    ) -> Plan:
        """Up to ``slots`` starts. ``lane_slots``: free slots of a lane, None where unbounded. ``calls``: that running
        tasks want to make, which need no slots. ``most``: a queue of so many cells may have more. Every admission in
        the plan is taken from its account; the caller claims for it or releases it."""
        plan = Plan()
        pools = self._queues(heads, calls, most, now)
        lanes = {head.lane: lane_slots(head.lane) for head in heads}
        next_of = {pool: self._pools[pool].choose([(q.level, q) for q in queues]) for pool, queues in pools.items()}
        while next_of and (calls or plan.size < slots):
            _, queue = self._all.choose(next_of.values())
            pool = self._place(queue.model).pool
            level, waiting = queue.level, [(q.level, q) for q in pools[pool]]
            ask = partial(self._ask, queue, lanes, admit, measure, now)
            n, blocked = self._serve(plan, queue, slots, ask, now, alone=len(waiting) == len(next_of) == 1)
            if n:
                self._all.started(level, queue, next_of.values(), n)
                self._pools[pool].started(level, queue, waiting, n)
            if plan.cut is not None:
                break
            if blocked:
                self._pass_over(plan, queue, blocked)
            if blocked or not queue:
                pools[pool].remove(queue)
            if pools[pool]:
                next_of[pool] = self._pools[pool].choose([(q.level, q) for q in pools[pool]])
            else:
                del next_of[pool]
        waits = (*plan.blocked.values(), *plan.calls_blocked.values())
        plan.wait_until = min((one.until for one in waits if one.until is not None), default=None)
        return plan

    def _serve(
        self,
        plan: Plan,
        queue: Queue,
        slots: int,
        ask: Callable[[], Admission | Blocked | None],
        now: float,
        *,
        alone: bool,
    ) -> tuple[int, Blocked | None]:
        """Start the queue's next task; where nobody else waits, all that follow at the same level. Returns how many,
        and what let no more of it go."""
        level, n = queue.level, 0
        while True:
            answer = NO_SLOT if plan.size >= slots and not queue.running else ask()
            if isinstance(answer, Blocked):
                return n, answer
            self._take(plan, queue, answer)
            n += 1
            cell_id = queue.head.cell_id
            if not queue.advance(now):
                plan.cut = cell_id
                return n, None
            if not alone or not queue or queue.level != level:
                return n, None

    def _queues(
        self, heads: Sequence[Head], calls: Sequence[Head], most: int | None, now: float
    ) -> dict[str, list[Queue]]:
        """By pool."""
        together: dict[Key, list[Head]] = {}
        for head in heads:
            together.setdefault((head.model, head.lane, head.urgency), []).append(head)
        pools: dict[str, list[Queue]] = {}
        for cells in together.values():
            place = self._place(cells[0].model)
            pools.setdefault(place.pool, []).append(self._queue(cells, place.accounts, now, running=False, most=most))
        for call in calls:
            place = self._place(call.model)
            pools.setdefault(place.pool, []).append(self._queue([call], place.accounts, now, running=True, most=None))
        return pools

    def _queue(self, heads: Sequence[Head], share: str, now: float, *, running: bool, most: int | None) -> Queue:
        early = self._rise_before.get(heads[0].urgency, 0.0)
        return Queue(heads, share, now, running=running, most=most, early=early)

    @staticmethod
    def _ask(
        queue: Queue, lanes: dict[str, int | None], admit: Admit, measure: Measure, now: float
    ) -> Admission | Blocked | None:
        free = None if queue.running or is_flow(queue.model) else lanes[queue.lane]
        if free is not None and free <= 0:
            return Blocked(None, f"{OF_LANE}{queue.lane}")
        size = measure(queue.model, *queue.size) if needs_account(queue.model) else NO_SIZE
        answer = admit(queue.model, size, now)
        if free is not None and not isinstance(answer, Blocked):
            lanes[queue.lane] = free - 1
        return answer

    @staticmethod
    def _pass_over(plan: Plan, queue: Queue, blocked: Blocked) -> None:
        if queue.running:
            plan.calls_blocked[queue.key] = blocked
        elif blocked is not NO_SLOT:
            plan.blocked.update(dict.fromkeys(queue.left(), blocked))

    @staticmethod
    def _take(plan: Plan, queue: Queue, admission: Admission | None) -> None:
        if queue.running:
            assert admission is not None, "a call needs an account"
            plan.calls.setdefault(queue.key, []).append(admission)
            return
        cell_id = queue.head.cell_id
        plan.picks.setdefault(cell_id, []).append(admission)
        plan.models[cell_id] = queue.model
        plan.size += 1


def is_of_lane(blocked: Blocked) -> bool:
    """Whether it is the lane that has no more slots."""
    return blocked.by.startswith(OF_LANE)
