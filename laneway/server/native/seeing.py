"""What belongs to whom: a task, and all about it, to the team of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laneway.errors import NotFoundError
from laneway.server.caller import Caller
from laneway.server.calls import RUN
from laneway.store.teams import ALL, OfTeam

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.runs import Run
    from laneway.task import Task

MOST_KNOWN = 100_000  # runs whose team is remembered: it never changes
LONGEST_ID = 18  # digits


class Seeing:
    """What is not theirs is not there for callers."""

    def __init__(self, lw: Laneway) -> None:
        self._lw = lw
        self._teams: dict[int, str | None] = {}
        self._own: dict[str | None, Run] = {}

    async def own_run(self, caller: Caller) -> Run:
        """The run that what they submit belongs to, the same as of their calls of the providers' endpoints: so keys
        are a team's own."""
        if caller.team not in self._own:
            info, now = {"kind": "serve", "team": caller.team}, self._lw.clock.now()
            run = await self._lw.store.open_run(_identity(caller), info=info, max_cost=None, now=now, join=True)
            self._own[caller.team] = run
        return self._own[caller.team]

    async def keyed(self, caller: Caller, key: str) -> Task:
        """The task of this key among what they submitted. Raises NotFoundError."""
        own = self._own.get(caller.team) or await self._lw.store.find_run(_identity(caller))
        if own is None:
            raise NotFoundError(f"there is no task {key!r}", hint="nothing was submitted here yet")
        return await self._lw.store.find_task(key, own.id)

    async def task(self, caller: Caller, ref: str) -> Task:
        """By its id, or its key among what they submitted; who sees everything finds any key. Raises NotFoundError."""
        store = self._lw.store
        if ref.isdecimal() and len(ref) <= LONGEST_ID:
            found = await store.get_tasks([int(ref)])
            if found and await self.sees_run(caller, found[0].run_id):
                return found[0]
        elif not ref.isdigit():
            try:
                return await self.keyed(caller, ref)
            except NotFoundError:
                if caller.sees_all:
                    return await store.find_task(ref)
        raise NotFoundError(f"there is no task {ref!r}", hint="give its id or key")

    async def run(self, caller: Caller, run_id: int) -> Run:
        """Raises NotFoundError."""
        run = await self._lw.store.get_run(run_id)
        if not caller.may_see(team_of(run)):
            raise NotFoundError(f"there is no run {run_id}")
        return run

    async def sees_run(self, caller: Caller, run_id: int) -> bool:
        return caller.sees_all or caller.may_see(await self.team(run_id))

    async def team(self, run_id: int) -> str | None:
        if run_id not in self._teams:
            if len(self._teams) >= MOST_KNOWN:
                self._teams.clear()
            self._teams[run_id] = team_of(await self._lw.store.get_run(run_id))
        return self._teams[run_id]


def team_seen(caller: Caller) -> OfTeam:
    """Whose runs they see."""
    return ALL if caller.sees_all else caller.team


def team_of(run: Run) -> str | None:
    team = run.info.get("team")
    return team if isinstance(team, str) else None


def _identity(caller: Caller) -> str:
    return RUN if caller.team is None else f"{RUN} {caller.team}"
