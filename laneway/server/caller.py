"""Who asks. Every endpoint takes its caller from here, and nothing else decides whose work something is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from laneway.server.envelopes import Refusal
from laneway.store.tokens import Role as Role
from laneway.task import Urgency

KNOWN_AS = "laneway.caller"  # where the guard puts them into a request's scope


@dataclass(frozen=True, slots=True)
class Caller:
    """``name``: the token's. ``team``: whose work it is; None: of everybody who is in none. ``lanes`` None: all.
    ``highest``: the most urgent that may be asked for. ``daily_budget``: USD."""

    name: str = "local"
    team: str | None = None
    role: Role = Role.OPERATE
    lanes: frozenset[str] | None = None
    highest: Urgency | None = None
    daily_budget: float | None = None

    @property
    def operates(self) -> bool:
        return self.role is Role.OPERATE

    @property
    def sees_all(self) -> bool:
        return self.team is None and self.operates

    @property
    def bound(self) -> bool:
        """Whether not every route is theirs. The classifier is not asked about their tasks: it might lead them away."""
        return self.lanes is not None or self.highest is not None

    def may_see(self, team: str | None) -> bool:
        """What belongs to a team. Operators who are in none see everything."""
        return self.sees_all or team == self.team

    @property
    def steers_shared(self) -> bool:
        """Whether lanes, accounts, workers and tokens are theirs to change: they are shared by all teams."""
        return self.sees_all


LOCAL = Caller()  # without tokens everybody is the same


async def caller(request: Request) -> Caller:  # FastAPI would ask a plain function on a thread
    known = request.scope.get(KNOWN_AS)
    return known if isinstance(known, Caller) else LOCAL


Asking = Annotated[Caller, Depends(caller)]


async def operator(asking: Asking) -> Caller:
    """May change tasks and runs in bulk, of its team if it is in one. Raises Refusal."""
    if not asking.operates:
        raise Refusal(403, f"the token {asking.name!r} may submit, not operate", code="role")
    return asking


async def steersman(asking: Asking) -> Caller:
    """May change what all teams share. Raises Refusal."""
    await operator(asking)
    if not asking.steers_shared:
        raise Refusal(403, "lanes, accounts and workers are shared: this needs an operator of no team", code="team")
    return asking


Operating = Annotated[Caller, Depends(operator)]
Steering = Annotated[Caller, Depends(steersman)]
