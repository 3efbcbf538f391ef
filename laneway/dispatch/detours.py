"""Tasks whose model is away, or far slower than usual, go to the next model of their route: as many as that one
admits, and no more.

The rest stays in its queue, so that all goes home by itself when the model returns. A cell of which tasks may go is
shown to the planner a second time, as if it were one of the other model's cells; what is planned there is moved in the
store and claimed in the same round. A task that goes has used up nothing.

A slow model goes on with what the other one has no room for, and always with one call, to see whether it is as fast as
before: until the other is full, its own cell is not shown.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from laneway.dispatch.desks import Desks
from laneway.dispatch.order import Plan, is_of_lane
from laneway.store.cells import Head
from laneway.store.detours import Stray
from laneway.store.interface import Store
from laneway.task import Claimed

CHUNK = 1000  # tasks looked at in one round; few of them may have a further model
OFFERED = 200  # of one cell in one round
NEXT_CHUNK_S = 0.01
AGAIN_S = 2.0  # after all of a large cell was looked at: newcomers may stand anywhere in it
LOOK_AFTER = 3.0  # times as long as a slow model's call takes, after the latest one: then one looks
MOST_REMEMBERED = 10_000

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Cell:
    """What is known of a cell whose model is away or slow."""

    strays: dict[int, Stray] = field(default_factory=dict)  # in order
    cursor: tuple[float, int] | None = None
    again_at: float = 0.0
    others: int = 0  # of its ready tasks, those that can go nowhere, as counted in the present pass …
    stuck: int | None = None  # … and in the last whole one; None: there was none yet
    full: bool = False  # when last asked, the other model had no room, and would not have for so long as ours takes


@dataclass(frozen=True, slots=True)
class _Way:
    """From a cell to another model. ``both_away``: only to see whether that one is back."""

    head: Head
    task_ids: list[int]
    model: str
    reason: str
    both_away: bool
    is_slow: bool  # the model that they come from, and not away


class Detours:
    def __init__(self, store: Store, desks: Desks) -> None:
        self._store = store
        self._desks = desks
        self._cells: dict[int, _Cell] = {}
        self._ways: dict[int, _Way] = {}  # by the number of the head that stands for it
        self._busy: defaultdict[str, float] = defaultdict(lambda: -math.inf)  # by slow model: when it was seen at work
        self._said: set[tuple[str, str]] = set()
        self._origins: dict[int, str] = {}  # of tasks that went and have not been settled since
        self.again_at: float | None = None  # when there is more to look at
        self.hides = False  # some cells are not shown, because another model may have room for their tasks

    async def shown(self, heads: Sequence[Head], now: float) -> list[Head]:
        """What the planner is to see of these cells, and those whose model is away or slow once more for each model
        that their tasks may go to."""
        models = {head.model for head in heads}
        away = {model: f"away ({reason})" for model in models if (reason := self._desks.away(model, now))}
        slow = {model: reason for model in models - set(away) if (reason := self._desks.tempos.slow(model))}
        self._forget(heads, {*away, *slow})
        self._ways.clear()
        self.again_at = None
        self.hides = False
        if not away and not slow:
            return list(heads)
        shown, ways = [], []
        looks = self._looks(heads, slow, now)
        for head in heads:
            if head.model in away:
                await self._look(head, now)
                ways += await self._offer(head, away[head.model], now)
            elif head.model in slow:
                await self._look(head, now)
                kept = looks.get(head.cell_id, 0)
                offered = await self._offer(head, slow[head.model], now, is_slow=True, kept=kept)
                ways += offered
                if offered and not self._cells[head.cell_id].full:
                    self.hides = True
                    head = head._replace(ready=min(kept, head.ready), sizes=head.sizes[:kept])
            if head.ready:
                shown.append(head)
        return shown + ways

    def _looks(self, heads: Sequence[Head], slow: Collection[str], now: float) -> dict[int, int]:
        """How many of a cell's tasks go to see whether their slow model is faster again: those of its least urgent. Not
        one after the other, or a run's last task would be among them."""
        least = {head.model: head for head in sorted(heads, key=lambda head: head.urgency) if head.model in slow}
        looks = {}
        for model, head in least.items():
            tempo = self._desks.tempos[model]
            if tempo.in_flight:
                self._busy[model] = now
            rested = now >= self._busy[model] + LOOK_AFTER * tempo.seconds
            if tempo.looks > 1 or rested:
                looks[head.cell_id] = max(0, tempo.looks - tempo.in_flight)
        return looks

    def planned(self, plan: Plan, now: float) -> None:
        """See where there is no room for more; then the cell itself is shown at once."""
        slow = {number: way for number, way in self._ways.items() if way.is_slow}
        waiting = Counter({way.model: 0 for way in slow.values()})
        for way in slow.values():
            waiting[way.model] += way.head.ready
        for number, way in slow.items():
            cell, blocked = self._cells[way.head.cell_id], plan.blocked.get(number)
            before = cell.full
            binds = blocked is not None and not is_of_lane(blocked)  # a lane binds at home as well
            cell.full = binds and self._desks.tempos.later(way.model, waiting[way.model], way.head.model)
            if cell.full and not before:
                self.again_at = now

    def claimed(self, task: Claimed) -> None:
        """At home: it need not be offered elsewhere."""
        if cell := self._cells.get(task.cell_id):
            cell.strays.pop(task.id, None)

    async def take(self, plan: Plan, now: float) -> None:
        """Move the tasks that are planned on such a way, and let the plan name the cells where they are now."""
        for number in [number for number in plan.picks if number in self._ways]:
            way, admissions = self._ways[number], plan.picks[number]
            cell = self._cells[way.head.cell_id]
            going = way.task_ids[: len(admissions)]
            if len(admissions) == len(way.task_ids):
                self.again_at = now  # it may take more
            target, went = await self._store.divert(way.head.cell_id, going, way.model, way.reason, now)
            for task_id in going:
                cell.strays.pop(task_id, None)
            self._origins.update(dict.fromkeys(went, way.head.model))
            while len(self._origins) > MOST_REMEMBERED:  # other workers have those by now
                del self._origins[next(iter(self._origins))]
            del plan.picks[number]
            del plan.models[number]
            for admission in admissions[len(went) :]:
                if admission is not None:
                    admission.desk.release(admission, now)
            if went:
                plan.picks.setdefault(target, []).extend(admissions[: len(went)])
                plan.models[target] = way.model
                self._say(way)

    def home(self, task_id: int, *, away: bool) -> str | None:
        """A task's call has ended. Where it goes back to, when the other model is ``away``, too: it goes on with
        whichever is back first."""
        origin = self._origins.pop(task_id, None)
        return origin if away else None

    def elsewhere(self, task: Claimed, now: float) -> bool:
        """Whether a further model of the task's route is there."""
        return any(
            self._desks.model(model) is not None and not self._desks.away(model, now)
            for model in task.route.further(task.model)
        )

    def undecided(self, heads: Iterable[Head]) -> bool:
        """Whether some of these cells, whose model does not answer or is paused, may yet have tasks that could go."""
        return self.hides or any(
            self._desks.troubled(head.model)
            and ((cell := self._cells.get(head.cell_id)) is None or (not cell.strays and cell.stuck != head.ready))
            for head in heads
        )

    async def _look(self, head: Head, now: float) -> None:
        """Read on in a cell, one chunk a round, while nobody is known who could go."""
        cell = self._cells.setdefault(head.cell_id, _Cell())
        if not cell.strays and cell.stuck != head.ready and now >= cell.again_at:
            seen = await self._store.strays(head.cell_id, cell.cursor, CHUNK)
            cell.strays = {stray.task_id: stray for stray in seen.tasks}
            cell.others += seen.others
            cell.cursor = seen.cursor
            if seen.cursor is None:
                cell.stuck, cell.others = cell.others, 0
                cell.again_at = now + (NEXT_CHUNK_S if cell.stuck < CHUNK else AGAIN_S)
        if not cell.strays and cell.stuck != head.ready:
            at = max(cell.again_at, now + NEXT_CHUNK_S)
            self.again_at = at if self.again_at is None else min(self.again_at, at)

    async def _offer(self, head: Head, reason: str, now: float, *, is_slow: bool = False, kept: int = 0) -> list[Head]:
        """The ways that this cell's tasks may go, but for the first ``kept``."""
        cell = self._cells[head.cell_id]
        offered = list(islice(cell.strays.values(), kept, OFFERED))
        routes = {stray.models for stray in offered}
        await self._desks.prepare({(model, head.lane) for models in routes for model in models}, now)
        target = {models: self._target(models, head.model if is_slow else None, now) for models in routes}
        by_target: defaultdict[tuple[str, bool], list[Stray]] = defaultdict(list)
        for stray in offered:
            if (found := target[stray.models]) is not None:
                by_target[found].append(stray)
            elif not is_slow:
                del cell.strays[stray.task_id]
        shown = []
        for (model, both_away), strays in by_target.items():
            number = -1 - len(self._ways)
            sizes = tuple((stray.due_at, stray.input_tokens, stray.output_tokens) for stray in strays)
            shown.append(Head(number, head.run_id, model, head.lane, head.urgency, len(sizes), sizes))
            self._ways[number] = _Way(head, [stray.task_id for stray in strays], model, reason, both_away, is_slow)
        return shown

    def _target(self, models: Sequence[str], slow: str | None, now: float) -> tuple[str, bool] | None:
        """The first model that is there, and much faster than the ``slow`` one that would be left for it. Where all are
        away, the first, to see whether it is back."""
        known = [model for model in models if self._desks.model(model) is not None]
        for model in known:
            if not self._desks.away(model, now) and (slow is None or self._desks.faster(model, slow)):
                return model, False
        return (known[0], True) if known and slow is None else None

    def _forget(self, heads: Sequence[Head], left: Collection[str]) -> None:
        """All that is not of models which are away or slow."""
        there = {head.cell_id for head in heads if head.model in left}
        self._cells = {cell_id: cell for cell_id, cell in self._cells.items() if cell_id in there}
        for origin, model in [way for way in self._said if way[0] not in left]:
            if not self._desks.troubled(origin):
                log.info("model %s is back: its tasks wait for it again, not for %s", origin, model)
                self._said.discard((origin, model))

    def _say(self, way: _Way) -> None:
        if (place := (way.head.model, way.model)) not in self._said and not way.both_away:
            log.warning("model %s is %s: its tasks go to %s", way.head.model, way.reason, way.model)
            self._said.add(place)
