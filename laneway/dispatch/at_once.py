"""A task claimed in the commit of its submission: a turn of the disk less before it is sent. Only where nothing waits
before it and its account admits it; everything else is left to the next round."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from laneway.clock import Clock
from laneway.dispatch.bars import Bars
from laneway.dispatch.claiming import Claiming, Place
from laneway.dispatch.desk import Admission, Blocked
from laneway.dispatch.desks import Desks
from laneway.dispatch.flights import Flights
from laneway.errors import StoreError
from laneway.store.cells import Head
from laneway.task import CLASSIFY, Claimed, NewTask, Urgency, needs_account

MOST_CELLS = 1000  # remembered
Cell = tuple[int, str, str, Urgency]  # run, model, lane, urgency

log = logging.getLogger(__name__)


class AtOnce:
    def __init__(
        self,
        clock: Clock,
        desks: Desks,
        bars: Bars,
        flights: Flights,
        claiming: Claiming,
        lanes: Collection[str] | None,
        wake: Callable[[], None],
    ) -> None:
        """``lanes``: that are worked on, None: all. ``wake``: a round is to look."""
        self._clock = clock
        self._desks = desks
        self._bars = bars
        self._flights = flights
        self._claiming = claiming
        self._lanes = lanes
        self._wake = wake
        self._cells: dict[Cell, int] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def saw(self, task: Claimed) -> None:
        """Tasks of its route stand in its cell."""
        if task.parent is None and task.spec.type != CLASSIFY:  # those stand aside
            if len(self._cells) >= MOST_CELLS:
                self._cells.clear()
            self._cells[task.run_id, task.model, task.lane, task.urgency] = task.cell_id

    def claim(self, run_id: int, task: NewTask) -> bool:
        """Claim it, if it may start now. After ``store.submit``, before that is awaited."""
        now, head = self._clock.now(), self._head(run_id, task)
        admission = self._admit(head, now) if head else None
        if head is None or admission is None:
            return False
        pick = self._claiming.pick(head.cell_id, head.model, admission.desk.name, 1)
        waiting: dict[Place, list[Admission]] = {(head.cell_id, admission.desk.name): [admission]}
        try:
            claimed = self._claiming.ask([pick], waiting, now)
        except StoreError:
            return False
        self._flights.coming[head.lane] += 1
        taking = asyncio.get_running_loop().create_task(self._take(claimed, head))
        self._under_way.add(taking)
        taking.add_done_callback(self._under_way.discard)
        return True

    def _head(self, run_id: int, task: NewTask) -> Head | None:
        """As the queue will show it; None where its cell is not known, or not worked on."""
        route = task.route
        cell_id = self._cells.get((run_id, route.model, route.lane, route.urgency))
        if cell_id is None or (self._lanes is not None and route.lane not in self._lanes):
            return None
        sizes = ((task.due_at, task.input_tokens, task.output_tokens),)
        return Head(cell_id, run_id, route.model, route.lane, route.urgency, 1, sizes)

    def _admit(self, head: Head, now: float) -> Admission | None:
        slots, model = self._desks.lane_slots(head.lane), head.model
        if self._flights.free <= 0 or (slots is not None and slots <= self._flights.in_lane(head.lane)):
            return None
        if self._bars.of(head, now) or not needs_account(model) or self._desks.tempos.slow(model):
            return None
        ((_, input_tokens, output_tokens),) = head.sizes
        admission = self._desks.admit(model, self._desks.calibration.size(model, input_tokens, output_tokens), now)
        return None if isinstance(admission, Blocked) else admission

    async def _take(self, claiming: Awaitable[list[Claimed]], head: Head) -> None:
        claimed: list[Claimed] = []
        try:
            claimed = await claiming
        except StoreError as error:
            log.debug("%s; a round claims it when the store is back", error.message)
        finally:
            self._flights.coming[head.lane] -= 1
            if not claimed:  # it was there already, or is refused, or stands elsewhere now
                self._cells.pop((head.run_id, head.model, head.lane, head.urgency), None)
                self._wake()
