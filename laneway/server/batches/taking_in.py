"""Taking a batch in: every request of it or none. Nothing runs before all of them are on disk."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from laneway.app.budgets import check_prices
from laneway.app.inquiries import Asked
from laneway.app.routing import Routed, Routing
from laneway.errors import InputError
from laneway.intake.batch.lines import BatchLines
from laneway.intake.draft import BadLine, Draft
from laneway.intake.faults import Faults
from laneway.intake.options import ReadOptions
from laneway.server.backpressure import Gate
from laneway.server.caller import Caller
from laneway.server.tokens.allowing import allowed
from laneway.server.wishes import Wishes
from laneway.task import NewTask, Urgency, Wire

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.runs import Run

CHUNK = 100  # requests looked at without a pause: calls are answered meanwhile
MOST_REQUESTS = 100_000  # in one batch


class Intake:
    """``urgency``: of batches that name none."""

    def __init__(
        self, lw: Laneway, gate: Gate, wire: Wire, wishes: Wishes, caller: Caller, name: str, urgency: Urgency
    ) -> None:
        self._lw = lw
        self._gate = gate
        self._wire = wire
        self._tags = wishes.tags
        self._caller = caller
        level = wishes.level(lw.config, urgency, caller)
        self._lines = BatchLines(lw.config, ReadOptions(lane=wishes.lane, urgency=level))
        self._routing = Routing(lw, lw.catalog)
        self._faults = Faults(name, hide_content=lw.config.hide_content)
        self._keys: set[str] = set()

    async def take(self, run: Run, lines: AsyncIterator[bytes]) -> None:
        """Into the run, held back. Raises InputError for what cannot be used, BudgetError, ConfigError and AuthError
        for models that cannot be called."""
        chunk: list[tuple[int, bytes | BadLine]] = []
        number = 0
        async for line in lines:
            number += 1
            if line.strip():
                chunk.append((number, line))
            if len(chunk) == CHUNK:
                await self._submit(run, chunk)
                chunk = []
            if len(self._keys) > MOST_REQUESTS:
                raise InputError(f"the batch has more than {MOST_REQUESTS:,} requests", hint="send it in parts")
        await self._submit(run, chunk)
        if self._faults.count:
            raise InputError(self._faults.report())
        if not self._keys:
            raise InputError("the batch has no requests")
        self._lw.catalog.check(self._routing.models)
        check_prices(self._lw.config, self._lw.catalog, self._routing.ways)

    async def _submit(self, run: Run, chunk: list[tuple[int, bytes | BadLine]]) -> None:
        routed = self._routed(self._sound(chunk))
        if routed and not self._faults.count:
            store, now = self._lw.store, self._lw.clock.now()
            asked = [Asked(self._own(one, now), None if self._caller.bound else one.patient) for one in routed]
            async with self._gate.place(self._caller, len(asked)):
                if self._routing.inquiries is not None:
                    await self._routing.inquiries.submit(store, run, asked, now, held=True)
                else:
                    await store.submit(run, [one.task for one in asked], now, held=True)
        await asyncio.sleep(0)

    def _sound(self, chunk: list[tuple[int, bytes | BadLine]]) -> list[Draft]:
        found = []
        for draft in self._lines.drafts(chunk):
            if isinstance(draft, BadLine):
                self._faults.add(draft)
            elif draft.spec.wire is not self._wire:
                self._faults.add(draft.bad("its url is not the batch's endpoint"))
            elif draft.key in self._keys:
                self._faults.add(draft.bad(f"the custom_id {draft.key!r} came before"))
            else:
                self._keys.add(draft.key)
                found.append(draft)
        return found

    def _routed(self, drafts: list[Draft]) -> list[Routed]:
        routed = []
        now = self._lw.clock.now()
        for draft, patient in zip(drafts, self._routing.patients(drafts), strict=True):
            try:
                routed.append(self._routing.route(draft, now, patient))
            except InputError as error:
                self._faults.add(draft.bad(error.message))
        return routed

    def _own(self, routed: Routed, now: float) -> NewTask:
        """Raises Refusal for a lane that is not the caller's to use."""
        task = allowed(self._caller, routed.task, self._lw.config, now)
        return dataclasses.replace(task, team=self._caller.team, tags=tuple(dict.fromkeys((*task.tags, *self._tags))))
