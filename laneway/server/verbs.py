"""Cancelling, retrying and changing tasks, for whoever asks: a page or a program. That they may see these is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from laneway.app.steering import Verb, carry_out
from laneway.errors import LanewayError, StoreError
from laneway.server.audit import Audit
from laneway.server.backpressure import Gate
from laneway.server.caller import Caller
from laneway.store.steering import Change, Selector

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.task import Task


class Verbs:
    def __init__(self, lw: Laneway, audit: Audit, gate: Gate) -> None:
        self._lw = lw
        self._audit = audit
        self._gate = gate

    async def allow(self, caller: Caller, verb: Verb) -> None:
        """What goes again costs money again. Raises Refusal where the caller's budget is used up."""
        if verb is Verb.RETRY:
            await self._gate.check_budget(caller)

    async def one(
        self,
        caller: Caller,
        verb: Verb,
        task: Task,
        change: Change | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """How many were changed: 1 or 0. A cancelled call is broken off where this process makes it. Raises Refusal,
        LanewayError."""
        await self.allow(caller, verb)
        if verb is Verb.CANCEL:
            changed = 0 if task.state.ended else 1
            if changed:
                await self._lw.call_off(task.id)
        else:
            chosen = Selector(ids=(task.id,), states=verb.states)
            changed = await carry_out(self._lw, verb, chosen, change)
        self._lw.poke()
        await self._audit.record(caller, f"task.{verb}", str(task.id), detail)
        return changed

    async def many(
        self,
        caller: Caller,
        verb: Verb,
        selector: Selector,
        change: Change | None = None,
        *,
        detail: Mapping[str, Any],
        told: Callable[[int, int, int], None] | None = None,
    ) -> int:
        """How many were changed; ``told`` as of ``carry_out``. What an error ends is written down as far as it came.
        Raises Refusal, LanewayError."""
        await self.allow(caller, verb)
        done = {"matched": 0, "changed": 0}

        def count(of: int, looked_at: int, changed: int) -> None:
            done.update(matched=of, changed=changed)
            self._lw.poke()
            if told is not None:
                told(of, looked_at, changed)

        async def record(**more: Any) -> None:
            said = {**detail, "matched": done["matched"], **more}
            await self._audit.record(caller, f"tasks.{verb}", f"{done['changed']:,} tasks", said)

        try:
            await carry_out(self._lw, verb, selector, change, count)
        except LanewayError as error:
            with suppress(StoreError):  # it may still be away
                await record(error=error.message)
            raise
        await record()
        return done["changed"]
