"""The ideal work-conserving dispatcher: it knows every limit, size and latency beforehand, and nothing costs it time.

An event simulation against the simulator's own enforcement (its buckets, full at the start, and its draws of latency
by number of arrival), so that a real run on the same work can be told how much time it lost. At every moment the tasks
that are there are gone through by rank, then by arrival, and each that its lane and one of its accounts admit is
started. One that an account does not admit yet is waited for: nothing later takes that account's tokens away from it.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from laneway.simulator.faults import fate
from laneway.simulator.limits import Charge, KeyLimits
from laneway.simulator.options import Options

NOTHING_BUT_A_REQUEST = Charge()
TICK_S = 1e-9  # beyond the moment at which a bucket is full enough, for the sake of rounding


@dataclass(frozen=True, slots=True)
class Work:
    """A task as the simulator will charge it. ``accounts``: any of them may serve it. The lowest ``rank`` goes first;
    ``output_tokens`` only lengthen the latency, the limits take ``charge``. ``after``: the tasks, by their index, that
    must have ended before this one is there, whatever its ``arrival``."""

    accounts: tuple[str, ...]
    charge: Charge = NOTHING_BUT_A_REQUEST
    arrival: float = 0.0  # seconds
    rank: int = 0
    lane: str = ""
    model: str = ""
    output_tokens: int = 0
    after: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """When one task began and ended, in seconds, and where."""

    at: float
    ended: float
    account: str

    @property
    def latency(self) -> float:
        return self.ended - self.at


@dataclass(frozen=True, slots=True)
class Ideal:
    """``starts`` in the order of the tasks; ``makespan``: seconds from the first arrival to the last end."""

    makespan: float
    starts: Sequence[Start]


def ideal(
    tasks: Sequence[Work],
    accounts: Mapping[str, Options],
    lanes: Mapping[str, int] | None = None,
    servers: Mapping[str, str] | None = None,
) -> Ideal:
    """``accounts``: what the simulator does to each. ``lanes``: their concurrency, where it is bounded. ``servers``:
    the simulator behind each account, by any name; accounts on one simulator share its numbering. Raises ValueError
    for tasks that can never start."""
    run = _Run(tasks, accounts, lanes or {}, servers or {})
    return run.to_the_end()


Cell = tuple[str, tuple[str, ...]]  # lane and accounts: what may start next is the same for all tasks in it


class _Run:
    def __init__(
        self,
        tasks: Sequence[Work],
        accounts: Mapping[str, Options],
        lanes: Mapping[str, int],
        servers: Mapping[str, str],
    ) -> None:
        self._tasks = tasks
        self._accounts = accounts
        self._limits = {name: KeyLimits() for name in accounts}
        self._lanes = dict(lanes)  # places that are free
        self._servers = servers
        self._numbers: Counter[str] = Counter()
        self._missing = [len(set(task.after)) for task in tasks]  # of those that it comes after
        self._followers: dict[int, list[int]] = {}
        for index, task in enumerate(tasks):
            for before in set(task.after):
                self._followers.setdefault(before, []).append(index)
        free = (index for index, missing in enumerate(self._missing) if not missing)
        self._coming = sorted(free, key=lambda i: (tasks[i].arrival, i), reverse=True)
        self._cells: dict[Cell, list[tuple[int, float, int]]] = {}
        self._running: list[tuple[float, int]] = []
        self._starts: dict[int, Start] = {}

    def to_the_end(self) -> Ideal:
        now = self._tasks[self._coming[-1]].arrival if self._coming else 0.0
        began, ended = now, now
        while self._coming or any(self._cells.values()) or self._running:
            self._arrive(now)
            ended = self._end(now) or ended
            again = self._start(now)
            events = [self._tasks[self._coming[-1]].arrival] if self._coming else []
            events += [self._running[0][0]] if self._running else []
            events += [again] if again is not None else []
            if events:
                now = min(events)
            elif any(self._cells.values()):
                raise ValueError("some tasks can never start: no place in their lane")
        if len(self._starts) < len(self._tasks):
            raise ValueError("some tasks can never start: they come after each other")
        return Ideal(ended - began, [self._starts[i] for i in range(len(self._tasks))])

    def _arrive(self, now: float) -> None:
        while self._coming and self._tasks[self._coming[-1]].arrival <= now:
            index = self._coming.pop()
            self._queue(index, self._tasks[index].arrival)

    def _queue(self, index: int, arrival: float) -> None:
        task = self._tasks[index]
        heap = self._cells.setdefault((task.lane, task.accounts), [])
        heapq.heappush(heap, (task.rank, arrival, index))

    def _end(self, now: float) -> float | None:
        """Free the places of what has ended by now; the last one's time."""
        last = None
        while self._running and self._running[0][0] <= now:
            last, index = heapq.heappop(self._running)
            self._limits[self._starts[index].account].in_flight -= 1
            if (lane := self._tasks[index].lane) in self._lanes:
                self._lanes[lane] += 1
            for follower in self._followers.get(index, ()):
                self._missing[follower] -= 1
                if not self._missing[follower]:
                    self._queue(follower, last)
        return last

    def _start(self, now: float) -> float | None:
        """Start all that may. Returns when a limit lets the next one go, None where only an end or an arrival can."""
        again: float | None = None
        spent: set[str] = set()  # accounts that an earlier task waits for
        heads = [(heap[0], cell) for cell, heap in self._cells.items() if heap]
        heapq.heapify(heads)
        while heads:
            (_, _, index), cell = heapq.heappop(heads)
            lane, accounts = cell
            if self._lanes.get(lane, 1) <= 0:
                continue
            for name in accounts:
                if name in spent:
                    continue
                refused = self._limits[name].arrive(self._accounts[name], self._tasks[index].charge, now)
                if refused is None:
                    self._begin(index, name, now)
                    heapq.heappop(self._cells[cell])
                    if self._cells[cell]:
                        heapq.heappush(heads, (self._cells[cell][0], cell))
                    break
                spent.add(name)
                if refused.kind != "concurrency":
                    at = now + refused.wait + TICK_S
                    again = at if again is None else min(again, at)
        return again

    def _begin(self, index: int, account: str, now: float) -> None:
        task, options = self._tasks[index], self._accounts[account]
        server = self._servers.get(account, account)
        self._numbers[server] += 1
        median = options.median_s(task.model, task.output_tokens)
        latency = fate(options.seed, self._numbers[server]).latency_s(median, options.spread)
        self._starts[index] = Start(now, now + latency, account)
        heapq.heappush(self._running, (now + latency, index))
        if task.lane in self._lanes:
            self._lanes[task.lane] -= 1


def waits(tasks: Sequence[Work], found: Ideal) -> list[float]:
    """Seconds from arrival to start, task by task."""
    return [start.at - task.arrival for task, start in zip(tasks, found.starts, strict=True)]


def most_at_once(found: Ideal) -> int:
    """The most calls that were in flight together."""
    changes = sorted([(s.at, 1) for s in found.starts] + [(s.ended, -1) for s in found.starts])
    return max(itertools.accumulate(change for _, change in changes), default=0)
