"""What is in flight: the claimed tasks whose calls have not ended, and those that are being claimed at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from laneway.dispatch.desk import Admission
from laneway.dispatch.work import Flown
from laneway.task import Claimed, is_flow


@dataclass(slots=True)
class Flight:
    task: Claimed
    admission: Admission | None  # None: a Python task, which asks for each of its own calls
    call: asyncio.Task[None] | None = None
    called_off: bool = False  # nobody wants its answer any more


class Flights:
    """Counted by lane, and Python tasks for themselves."""

    def __init__(self, most: int) -> None:
        """``most``: at a time."""
        self._most = most
        self._by_id: dict[int, Flight] = {}
        self._by_lane: Counter[str] = Counter()
        self.coming: Counter[str] = Counter()  # by lane: what is claimed at once, and not there yet
        self.flown: Counter[Flown] = Counter()
        self.python = 0
        self.flows = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Flight]:
        return iter(list(self._by_id.values()))

    def get(self, task_id: int) -> Flight | None:
        return self._by_id.get(task_id)

    @property
    def by_lane(self) -> Counter[str]:
        return self._by_lane

    @property
    def free(self) -> int:
        """How many more may start."""
        return self._most - len(self) - self.coming.total()

    @property
    def over(self) -> bool:
        """Whether nothing is there, nor coming."""
        return not self._by_id and not self.coming.total()

    def in_lane(self, lane: str) -> int:
        """How many of its slots are taken."""
        return self._by_lane[lane] + self.coming[lane]

    def add(self, flight: Flight) -> None:
        self._by_id[flight.task.id] = flight
        self._count(flight.task, 1)

    def remove(self, flight: Flight) -> None:
        del self._by_id[flight.task.id]
        self._count(flight.task, -1)

    def _count(self, task: Claimed, n: int) -> None:
        if not task.model:
            self.python += n
        elif is_flow(task.model):  # its steps take no time, and no slot of its lane
            self.flows += n
            return
        self._by_lane[task.lane] += n
        self.flown[task.account, task.lane, task.urgency] += n
