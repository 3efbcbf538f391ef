"""What is new in the store, for everybody who listens: one look at it serves them all."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import contextmanager, suppress
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.errors import LimitError, StoreError
from laneway.server.caller import Caller
from laneway.server.native.seeing import team_seen
from laneway.server.native.telling import task_line
from laneway.store.news import Ear, News
from laneway.store.steering import Selector
from laneway.store.teams import OfTeam
from laneway.task import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laneway.app.laneway import Laneway

MOST_LISTENERS = 500  # in this process …
MOST_OF_ONE = 50  # … and of one caller
KEPT = 2_000  # ended tasks that are remembered; who was away for longer has them read from the store
AT_ONCE = 200
FIGURES_S = 1.0  # for which figures are not read anew
LOOKS_S = 0.5  # how often the state of tasks that somebody watches is read
AWAY_S = 2.0  # after which a store that was away is tried again

log = logging.getLogger(__name__)


class Ended(NamedTuple):
    """A task that ended, by the sequence number of its result."""

    seq: int
    run_id: int
    line: Mapping[str, Any]


class Hub:
    """Polls only while somebody listens."""

    def __init__(self, lw: Laneway, ending: asyncio.Event) -> None:
        """``ending``: set when the server ends, which would else wait for its listeners: they come back to another."""
        self._lw = lw
        self._recent: deque[Ended] = deque(maxlen=KEPT)
        self._from = self._to = 0  # what ended behind the one and up to the other is remembered
        self._listeners: Counter[str] = Counter()
        self._watched: Counter[int] = Counter()
        self._lines: dict[int, Mapping[str, Any]] = {}
        self._figures: dict[OfTeam, tuple[float, Mapping[str, Any]]] = {}
        self._news = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._ending = ending

    @property
    def listeners(self) -> int:
        return self._listeners.total()

    @property
    def closed(self) -> bool:
        return self._ending.is_set()

    @contextmanager
    def listening(self, caller: Caller, task_id: int | None = None) -> Iterator[None]:
        """For the length of the block; with ``task_id``, that one is watched. Raises LimitError."""
        if self.listeners >= MOST_LISTENERS or self._listeners[caller.name] >= MOST_OF_ONE:
            raise LimitError("too many listen already", hint="close streams that nobody reads, or ask again later")
        self._listeners[caller.name] += 1
        if task_id is not None:
            self._watched[task_id] += 1
        try:
            yield
        finally:
            self._listeners[caller.name] -= 1
            if task_id is not None:
                self._watched[task_id] -= 1
                if not self._watched[task_id]:
                    del self._watched[task_id]
                    self._lines.pop(task_id, None)

    async def begin(self) -> int:
        """The newest sequence number. Called by who listens."""
        if self._poller is None or self._poller.done():
            self._recent.clear()
            self._from = self._to = await self._lw.store.last_result()
            if self._poller is None or self._poller.done():  # another one may have begun meanwhile
                self._poller = asyncio.get_running_loop().create_task(self._poll())
        return self._to

    async def after(self, cursor: int) -> list[Ended]:
        """The next that ended behind the cursor, [] when nothing has."""
        if cursor >= self._from:
            recent = list(self._recent)
            at = bisect_right([one.seq for one in recent], cursor)
            return recent[at : at + AT_ONCE]
        return await self._read(cursor)

    def line(self, task_id: int) -> Mapping[str, Any] | None:
        """How a watched task stood when it was looked at last."""
        return self._lines.get(task_id)

    async def figures(self, caller: Caller) -> Mapping[str, Any]:
        """As this caller may see them; read once for all of a team."""
        team = team_seen(caller)
        at, known = self._figures.get(team, (-inf, {}))
        now = asyncio.get_running_loop().time()
        if now - at >= FIGURES_S:
            counts: dict[str, int] = {}
            for depth in await self._lw.store.depths(team=team):
                for state, n in depth.counts.items():
                    counts[state.value] = counts.get(state.value, 0) + n
            known = {"tasks": counts}
            self._figures[team] = now, known
        return known

    async def wait(self, seconds: float) -> None:
        """Until there is news, or so long."""
        news = self._news
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _poll(self) -> None:
        ear, loop = Ear(self._lw.store, News.RESULTS), asyncio.get_running_loop()
        looked_at = 0.0
        try:
            while self.listeners and not self.closed:
                try:
                    ended = await self._take_in()
                    if self._watched and (ended or loop.time() - looked_at >= LOOKS_S):
                        looked_at = loop.time()
                        await self._look()
                except StoreError as error:
                    log.warning("events: %s", error.message)
                    await asyncio.sleep(AWAY_S)
                await ear.wait()
        finally:
            ear.close()
            self._tell()

    async def _take_in(self) -> bool:
        found = False
        while new := await self._read(self._to):
            if len(self._recent) + len(new) > KEPT:
                self._from = self._recent[min(len(new), len(self._recent)) - 1].seq
            self._recent.extend(new)
            self._to, found = new[-1].seq, True
            self._tell()
        return found

    async def _read(self, cursor: int) -> list[Ended]:
        """Of a task that goes again meanwhile, for another try, nothing is told."""
        while news := await self._lw.store.ended_after(cursor, AT_ONCE):
            lines = await self._told(task_id for _, task_id in news)
            there = [(seq, lines[id_]) for seq, id_ in news if id_ in lines]
            found = [Ended(seq, line["run_id"], line) for seq, line in there if State(line["state"]).ended]
            if found:
                return found
            cursor = news[-1][0]
        return []

    async def _look(self) -> None:
        tasks = await self._lw.store.get_tasks(list(self._watched))
        lines: dict[int, Mapping[str, Any]] = {task.id: task_line(task) for task in tasks}
        if any(lines[id_] != self._lines.get(id_) for id_ in lines):
            self._lines = lines
            self._tell()

    async def _told(self, ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
        """Without what flows and triage began."""
        meant = tuple(ids)
        page = await self._lw.store.list_tasks(Selector(ids=meant), None, len(meant))
        return {task.id: task_line(task) for task in page.tasks}
