"""A new config while at work: it is examined first, and where it is sound, a worker that goes by it takes over from the
one that is at work. That one starts nothing more and finishes what it has in flight, by the limits it began with; the
store shares the accounts between them as between any two workers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

from laneway.app.working import Vital, Working
from laneway.dispatch.ending import Stop
from laneway.errors import LanewayError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.config.models import Config
    from laneway.providers.catalog import Catalog
    from laneway.triage.pipeline import Triage

# Settings that are used where no new worker comes to: they hold until the process is started anew.
AT_START = ("app", "hide_content", "server.requests_per_minute")

log = logging.getLogger(__name__)


class Renewed(NamedTuple):
    """A config, and what is made of it."""

    config: Config
    catalog: Catalog
    triage: Triage


def examined(lw: Laneway, config: Config) -> Renewed:
    """All that a start would find wrong is found here. Raises LanewayError."""
    from laneway.intake.prompts import PromptType
    from laneway.triage.pipeline import Triage

    catalog = lw.catalog_of(config)
    catalog.check(config.models)
    for name in config.prompt_types:
        PromptType(config, name)
    triage = Triage(config, functions=lw.rules, models=tuple(config.models) or None)
    return Renewed(config, catalog, triage)


def changed(before: Config, after: Config) -> list[str]:
    """The names of settings that differ, tables by their names: ``accounts.main``, ``rules``."""
    old, new = before.model_dump(), after.model_dump()
    found: list[str] = []
    for section in new:
        one, other = old[section], new[section]
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            names = dict.fromkeys([*one, *other])
            found += [f"{section}.{name}" for name in names if one.get(name) != other.get(name)]
        else:
            found.append(section)
    return found


class Shift:
    """A worker, and those that it took over from. An async context like ``lw.worker()``, and used in the same way."""

    def __init__(
        self, lw: Laneway, *, lanes: Collection[str] | None = None, grace: float | None = None, works: bool = True
    ) -> None:
        """``works`` False: there is none in this process, only a config to renew."""
        self._lw = lw
        self._lanes = lanes
        self._grace = grace
        self._works = works
        self._current: tuple[Working, AsyncExitStack] | None = None
        self._leaving: dict[asyncio.Task[None], Working] = {}
        self._broken_off = 0
        self._renewing = asyncio.Lock()

    async def __aenter__(self) -> Shift:
        if self._works:
            self._current = await self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        timer = None
        if self._grace is not None and self._leaving:
            timer = asyncio.get_running_loop().call_later(self._grace, self.break_off)
        if self._current is not None:
            await self._end(*self._current)
        if self._leaving:
            await asyncio.wait(self._leaving)
        if timer is not None:
            timer.cancel()

    async def _begin(self) -> tuple[Working, AsyncExitStack]:
        stack = AsyncExitStack()
        working = await stack.enter_async_context(self._lw.worker(lanes=self._lanes, grace=self._grace))
        return working, stack

    async def _end(self, working: Working, stack: AsyncExitStack) -> None:
        await stack.aclose()
        self._broken_off += working.left

    async def renew(self, read: Callable[[], Config]) -> bool:
        """Go by what is read. False where it is refused, or no worker could begin with it: then nothing has changed,
        and the log says why."""
        async with self._renewing:
            if self.draining:
                log.warning("this worker is draining: no config is read any more")
                return False
            lw = self._lw
            try:
                renewed = await asyncio.to_thread(lambda: examined(lw, read()))
            except LanewayError as error:
                return _refused("the new config is refused", error)
            what = changed(lw.config, renewed.config)
            before = lw.take_config(renewed)
            if self._current is not None:
                try:
                    new = await self._begin()
                except LanewayError as error:
                    lw.take_config(before)
                    return _refused("no worker could begin with the new config", error)
                self._take_over(new)
            log.info("goes by a new config", extra={"fields": {"changed": ", ".join(what) or "nothing"}})
            if late := [name for name in AT_START if name in what]:
                log.warning("%s will hold after the next start", ", ".join(late))
            return True

    def _take_over(self, new: tuple[Working, AsyncExitStack]) -> None:
        assert self._current is not None
        (old, stack), self._current = self._current, new
        old.take_time()
        leaving = asyncio.get_running_loop().create_task(self._end(old, stack))
        self._leaving[leaving] = old
        leaving.add_done_callback(self._left)

    def _left(self, leaving: asyncio.Task[None]) -> None:
        del self._leaving[leaving]
        if not leaving.cancelled() and (error := leaving.exception()) is not None:
            log.error("the worker that was taken over from did not end in order: %s", error)

    # as a worker is asked ----------------------------------------------------------------------------------------
    @property
    def _all(self) -> list[Working]:
        return [*([] if self._current is None else [self._current[0]]), *self._leaving.values()]

    @property
    def working(self) -> Working | None:
        """Who takes new tasks."""
        return None if self._current is None else self._current[0]

    @property
    def name(self) -> str:
        return "" if self.working is None else self.working.name

    @property
    def draining(self) -> bool:
        return self.working is not None and self.working.draining

    @property
    def in_flight(self) -> int:
        return sum(one.in_flight for one in self._all)

    @property
    def left(self) -> int:
        """How many tasks were broken off."""
        return self._broken_off

    def vital(self) -> Vital:
        assert self.working is not None, "there is a worker"
        return self.working.vital()

    def break_off(self) -> None:
        for one in self._all:
            one.break_off()

    async def ended(self) -> Stop:
        """When the worker of now stops by itself, which is a fault of ours, or is drained."""
        while True:
            assert self.working is not None, "there is a worker"
            one = self.working
            stop = await one.ended()
            if one is self.working:
                return stop


def _refused(why: str, error: LanewayError) -> bool:
    log.error("%s, the one before holds: %s (%s)", why, error.message, error.hint or "see `laneway config check`")
    return False
