"""Verbs for very many tasks, carried out beside requests: who began one may leave and come back.

Kept in memory: after a restart of the server what is left to do is what the same filter still finds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from laneway.app.steering import Verb
from laneway.errors import LanewayError
from laneway.server.caller import Caller
from laneway.server.envelopes import Refusal
from laneway.server.verbs import Verbs
from laneway.store.steering import Selector

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

REMEMBERED = 20  # that have ended
AT_ONCE = 4
WORDS = {  # of each verb: while it is done, when it was, and what has become of the tasks
    Verb.RETRY: ("Queueing again", "Queued again", "are queued again"),
    Verb.CANCEL: ("Cancelling", "Cancelled", "are cancelled"),
    Verb.SET: ("Changing", "Changed", "are changed"),
}


@dataclass(slots=True)
class Sweep:
    """``said``: what it is about, for people. ``of``: tasks that the filter found at its beginning."""

    verb: Verb
    said: str
    who: str
    team: str | None
    began_at: float
    of: int = 0
    looked_at: int = 0
    changed: int = 0
    ended_at: float | None = None
    error: str = ""
    doing: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def share(self) -> float:
        return self.looked_at / self.of if self.of else float(self.ended_at is not None)

    @property
    def doing_said(self) -> str:
        return WORDS[self.verb][0 if self.ended_at is None else 1]

    @property
    def done_said(self) -> str:
        return WORDS[self.verb][2]


class Bulk:
    def __init__(self, lw: Laneway, verbs: Verbs) -> None:
        self._lw = lw
        self._verbs = verbs
        self._sweeps: deque[Sweep] = deque(maxlen=REMEMBERED + AT_ONCE)

    async def begin(self, caller: Caller, verb: Verb, selector: Selector, said: str) -> Sweep:
        """Raises Refusal when several are under way, or the caller's budget does not allow it."""
        await self._verbs.allow(caller, verb)
        if sum(one.ended_at is None for one in self._sweeps) >= AT_ONCE:
            raise Refusal(409, f"{AT_ONCE} of these are under way; wait for one to end", code="busy", again=True)
        sweep = Sweep(verb, said, caller.name, caller.team, self._lw.clock.now())
        sweep.doing = asyncio.create_task(self._carry_out(caller, sweep, selector))
        self._sweeps.appendleft(sweep)
        return sweep

    def seen_by(self, caller: Caller) -> list[Sweep]:
        """The newest first."""
        return [one for one in self._sweeps if caller.may_see(one.team)]

    async def _carry_out(self, caller: Caller, sweep: Sweep, selector: Selector) -> None:
        def told(of: int, looked_at: int, changed: int) -> None:
            sweep.of, sweep.looked_at, sweep.changed = of, looked_at, changed

        try:
            await self._verbs.many(caller, sweep.verb, selector, detail={"filter": sweep.said}, told=told)
        except (LanewayError, Refusal) as error:
            sweep.error = error.message
        finally:
            sweep.ended_at = self._lw.clock.now()
